"""Every method of the AuthServiceClient of MLflow 3.10."""

import mlflow
import older
from common import ADMIN, PASSWORD, AuthClient, fresh, ok, refused, sign_in, wait_for_rights


def workspace_permissions(auth):
    dan, workspace = fresh("dan"), fresh("team")
    mlflow.create_workspace(workspace)
    auth.create_user(dan, PASSWORD)
    given = auth.set_workspace_permission(workspace, dan, "READ")
    assert (given.workspace, given.permission, given.user_id) == (workspace, "READ", auth.get_user(dan).id)
    auth.set_workspace_permission(workspace, dan, "MANAGE")
    assert [(p.user_id, p.permission, p.can_use) for p in auth.list_workspace_permissions(workspace)] == [(given.user_id, "MANAGE", True)]
    assert [(p.workspace, p.permission) for p in auth.list_user_workspace_permissions(dan)] == [(workspace, "MANAGE")]
    refused("RESOURCE_DOES_NOT_EXIST", auth.list_workspace_permissions, fresh("nowhere"))
    refused("RESOURCE_DOES_NOT_EXIST", auth.set_workspace_permission, workspace, fresh("nobody"), "USE")
    sign_in(dan)
    assert [w.name for w in mlflow.list_workspaces()] == [workspace]
    auth.set_workspace_permission(workspace, ADMIN[0], "USE")
    sign_in(*ADMIN)
    auth.delete_workspace_permission(workspace, dan)
    refused("RESOURCE_DOES_NOT_EXIST", auth.delete_workspace_permission, workspace, dan)
    wait_for_rights()
    sign_in(dan)
    refused("RESOURCE_DOES_NOT_EXIST", auth.list_workspace_permissions, workspace)
    sign_in(*ADMIN)
    ok("permissions on workspaces: set, list, take back")


def things_that_are_not_here(auth):
    """Scorers and the gateway: 404 at once, in a shape that the client can read."""
    for kind, named in [("scorer", ("1", "s")), ("gateway_secret", ("1",)), ("gateway_endpoint", ("1",)), ("gateway_model_definition", ("1",))]:
        for verb, level in [("create", ("READ",)), ("get", ()), ("update", ("READ",)), ("delete", ())]:
            refused("ENDPOINT_NOT_FOUND", getattr(auth, f"{verb}_{kind}_permission"), *named, ADMIN[0], *level)
    ok("scorers and the gateway, which are not served, are refused in words")


auth = AuthClient()
older.users(auth)
older.model_permissions(auth)
older.experiment_permissions(auth)
workspace_permissions(auth)
things_that_are_not_here(auth)
assert auth.missed() == set(), auth.missed()
ok("every method of the client was called")
