"""Registries: made beside the workspaces, listed from each of them, each with models of its own, and open beside a workspace in one process."""

import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import SERVER, api, enter, log_constant, make_registries, ok, predicted, reply_to, same, unique

import mlflow
import requests
from mlflow import MlflowClient

client = MlflowClient()
dev = unique("dev")
client.create_workspace(dev)
shared, curated = make_registries("shared", "curated")


def refusal(method, path, body=None):
    reply = reply_to(method, path, body)
    return reply.status_code, reply.json()["error_code"]


api("PATCH", f"/registries/{shared}", {"description": "of all", "display_name": "Shared", "tags": {"team": "a"}})
read = api("GET", f"/registries/{shared}")
same({key: read[key] for key in ("name", "description", "display_name", "tags")}, {
    "name": shared, "description": "of all", "display_name": "Shared", "tags": {"team": "a"},
}, "registry")  # fmt: skip
same(read["mlflow_registry_uri"], f"{SERVER}/registries/{shared}", "mlflow_registry_uri")
same(refusal("POST", "/registries", {"name": shared}), (400, "RESOURCE_ALREADY_EXISTS"), "a registry made twice")
same(refusal("POST", "/registries", {"name": dev}), (400, "RESOURCE_ALREADY_EXISTS"), "a registry with the name of a workspace")
same(refusal("GET", f"/registries/{unique('nowhere')}"), (404, "RESOURCE_DOES_NOT_EXIST"), "an unknown registry")
for name in ("models", "default", "api", "Shared", "a.b", "-a", ""):
    same(refusal("POST", "/registries", {"name": name}), (400, "INVALID_PARAMETER_VALUE"), f"a registry named {name!r}")
ok("A3", "a registry is made, changed and read by the API; reserved, odd and taken names are refused")

assert not {shared, curated} & {workspace.name for workspace in client.list_workspaces()}, "a registry is no workspace"
for workspace in (None, dev, curated):
    reply = requests.get(
        f"{SERVER}/api/1.0/registries", params={"max_results": 1000}, headers={"X-MLFLOW-WORKSPACE": workspace} if workspace else {}, timeout=30
    )
    listed = {registry["name"] for registry in reply.json()["registries"]}
    assert {shared, curated} <= listed, f"registries listed from {workspace}: {listed}"
ok("A1", "registries are listed from every workspace and from none, and are no workspaces themselves")

enter(dev)
mlflow.set_experiment("training")
with mlflow.start_run():
    for value, name in ((1.0, "fraud"), (2.0, f"{shared}.fraud"), (3.0, f"{curated}.fraud")):
        log_constant(value, registered_model_name=name)
for value, name in ((1.0, "fraud"), (2.0, f"{shared}.fraud"), (3.0, f"{curated}.fraud")):
    same(predicted(f"models:/{name}/1"), value, f"prediction of {name}")
same([api("GET", f"/registries/{name}")["asset_counts"] for name in (shared, curated)], [{"models": 1}, {"models": 1}], "counts")
same(refusal("DELETE", f"/registries/{curated}"), (409, "INVALID_STATE"), "deletion of a registry with a model")
ok("A2 B2 D3", "log_model registers one name in a workspace and in two registries, and each loads its own")

registry_client = MlflowClient(registry_uri=f"{SERVER}/registries/{shared}")
workspace_client = MlflowClient()
for value, each in ((2.0, registry_client), (1.0, workspace_client)):
    each.set_registered_model_alias("fraud", "champion", "1")
    each.set_registered_model_tag("fraud", "value", str(value))
    each.update_model_version("fraud", "1", description=f"It says {value}.")
for value, each in ((2.0, registry_client), (1.0, workspace_client)):
    version = each.get_model_version_by_alias("fraud", "champion")
    same((version.description, each.get_registered_model("fraud").tags), (f"It says {value}.", {"value": str(value)}), f"model that says {value}")
    same([found.name for found in each.search_registered_models("name = 'fraud'")], ["fraud"], "models found")
same(registry_client.get_run(version.run_id).info.run_id, version.run_id, "a run, read by the client of the registry")
enter(dev, registry_uri=f"{SERVER}/registries/{shared}")
same(predicted("models:/fraud@champion"), 2.0, "loaded with the registry as registry URI")
enter(dev)
same(predicted("models:/fraud@champion"), 1.0, "loaded without")
ok("B1", "a client of a registry and a client of a workspace work in one process, with one name for two models")

client.delete_registered_model(f"{curated}.fraud")
api("DELETE", f"/registries/{curated}")
same(refusal("GET", f"/registries/{curated}"), (404, "RESOURCE_DOES_NOT_EXIST"), "a deleted registry")
enter()
ok("A1", "a registry is deleted when it is empty, not before")
