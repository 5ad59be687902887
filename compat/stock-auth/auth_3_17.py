"""Every method of the AuthServiceClient of MLflow 3.17."""

import mlflow
from common import ADMIN, PASSWORD, AuthClient, fresh, ok, refused, sign_in
from mlflow import MlflowClient


def users(auth):
    ann = fresh("ann")
    user = auth.create_user(ann, PASSWORD)
    assert (user.username, user.is_admin) == (ann, False)
    refused("RESOURCE_ALREADY_EXISTS", auth.create_user, ann, PASSWORD)
    assert auth.get_user(ann).id == user.id
    sign_in(ann)
    refused("INVALID_PARAMETER_VALUE", auth.update_user_password, ann, PASSWORD + "2")
    refused("INVALID_PARAMETER_VALUE", auth.update_user_password, ann, PASSWORD + "2", "not the right one")
    auth.update_user_password(ann, PASSWORD + "2", PASSWORD)
    sign_in(*ADMIN)
    auth.update_user_password(ann, PASSWORD + "3")
    sign_in(ann, PASSWORD + "2")
    refused("UNAUTHENTICATED", auth.get_user, ann)
    sign_in(*ADMIN)
    auth.update_user_admin(ann, True)
    assert auth.get_user(ann).is_admin
    refused("BAD_REQUEST", auth.delete_user, ADMIN[0])
    auth.delete_user(ann)
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_user, ann)
    ok("users: make, get, new password by oneself and by others, administrator or not, remove")


def roles(auth):
    ben, dev, prod = fresh("ben"), fresh("dev"), fresh("prod")
    mlflow.create_workspace(dev)
    mlflow.create_workspace(prod)
    user = auth.create_user(ben, PASSWORD)
    role = auth.create_role(dev, "developer", "may make things")
    assert (role.name, role.workspace, role.description, role.permissions) == ("developer", dev, "may make things", [])
    refused("RESOURCE_ALREADY_EXISTS", auth.create_role, dev, "developer")
    other = auth.create_role(prod, "developer")
    assert {r.id for r in auth.list_roles(dev)} == {role.id}
    assert {role.id, other.id} <= {r.id for r in auth.list_all_roles()}
    assert auth.update_role(role.id, name="maker").name == "maker"
    assert auth.get_role(role.id).description == "may make things"

    granted = auth.add_role_permission(role.id, "workspace", "*", "USE")
    refused("RESOURCE_ALREADY_EXISTS", auth.add_role_permission, role.id, "workspace", "*", "USE")
    refused("INVALID_PARAMETER_VALUE", auth.add_role_permission, role.id, "run", "1", "READ")
    reads = auth.add_role_permission(role.id, "registered_model", "fraud-*", "READ")
    assert auth.update_role_permission(reads.id, "EDIT").permission == "EDIT"
    assert [(p.resource_type, p.resource_pattern, p.permission) for p in auth.list_role_permissions(role.id)] == [
        ("workspace", "*", "USE"),
        ("registered_model", "fraud-*", "EDIT"),
    ]
    assigned = auth.assign_role(ben, role.id)
    assert (assigned.user_id, assigned.role_id) == (user.id, role.id)
    refused("RESOURCE_ALREADY_EXISTS", auth.assign_role, ben, role.id)
    assert [r.id for r in auth.list_user_roles(ben)] == [role.id]
    assert [a.user_id for a in auth.list_role_users(role.id)] == [user.id]

    mlflow.set_workspace(dev)
    MlflowClient().create_registered_model("fraud-1")
    MlflowClient().create_registered_model("other")
    sign_in(ben)
    MlflowClient().update_registered_model("fraud-1", "described")
    refused("RESOURCE_DOES_NOT_EXIST", MlflowClient().get_registered_model, "other")
    refused("PERMISSION_DENIED", auth.list_role_users, role.id)
    sign_in(*ADMIN)
    auth.remove_role_permission(reads.id)
    auth.unassign_role(ben, role.id)
    refused("RESOURCE_DOES_NOT_EXIST", auth.unassign_role, ben, role.id)
    auth.remove_role_permission(granted.id)
    auth.delete_role(role.id)
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_role, role.id)
    mlflow.set_workspace(None)
    ok("roles: make, change, permissions, give to users and take back")


def grants(auth):
    cas, model = fresh("cas"), fresh("model")
    auth.create_user(cas, PASSWORD)
    MlflowClient().create_registered_model(model)
    assert not auth.get_user_permission(cas, "registered_model", model).allowed
    auth.grant_user_permission(cas, "registered_model", model, "EDIT")
    refused("RESOURCE_ALREADY_EXISTS", auth.grant_user_permission, cas, "registered_model", model, "READ")
    held = auth.get_user_permission(cas, "registered_model", model)
    assert (held.allowed, held.permission) == (True, "EDIT")
    sign_in(cas)
    MlflowClient().update_registered_model(model, "described")
    refused("PERMISSION_DENIED", auth.grant_user_permission, cas, "registered_model", model, "MANAGE")
    sign_in(*ADMIN)
    auth.revoke_user_permission(cas, "registered_model", model)
    refused("RESOURCE_DOES_NOT_EXIST", auth.revoke_user_permission, cas, "registered_model", model)
    auth.grant_user_permission(cas, "registered_model", model, "DENY")
    assert auth.get_user_permission(cas, "registered_model", model).permission == "DENY"
    ok("grants by name: grant, ask, revoke, deny")


auth = AuthClient()
users(auth)
roles(auth)
grants(auth)
assert auth.missed() == set(), auth.missed()
ok("every method of the client was called")
