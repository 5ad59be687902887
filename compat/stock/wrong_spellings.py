"""
What else people write for a model of a registry (mission.md 2.1), with what the client makes of it: each is answered with what to write instead, or
at least refused, and never with another model. It ends with the two that no server can tell from something else.
"""

import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import SERVER, enter, log_constant, make_registries, ok, predicted, refused, same, unique

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
[shared] = make_registries("shared")

enter(dev)
mlflow.set_experiment("training")
with mlflow.start_run():
    log_constant(1.0, registered_model_name="fraud")
    log_constant(2.0, registered_model_name=f"{shared}.fraud")
for name in ("fraud", f"{shared}.fraud"):
    client.set_registered_model_alias(name, "champion", "1")


def message(uri):
    """Why the URI does not load."""
    try:
        value = predicted(uri)
    except MlflowException as error:
        return error.message
    raise AssertionError(f"{uri} must not load, but predicts {value}")


for written, meant in (
    (f"models:/{shared}/fraud@champion", f"models:/{shared}.fraud@champion"),
    (f"models:/{shared}/fraud/1", f"models:/{shared}.fraud/1"),
    (f"models:/{shared}/fraud", f"models:/{shared}.fraud/1"),
    (f"models:/fraud/{shared}@champion", "models:/fraud@champion"),
):
    text = message(written)
    assert f"'{meant}'" in text, f"{written} is answered with: {text}"
ok("2.1", "a registry and a model with a slash between, which the client sends as a stage, are answered with the dotted name")

for uri, part in (
    (f"models:/{shared}/models/fraud/versions/1", f"models:/{shared}."),
    (f"models:/{shared}:fraud@champion", "Names cannot contain '/' or ':'"),
    (f"models:/{shared}~fraud@champion", "not found"),
    (f"models:/{shared}%2Ffraud@champion", "not found"),
    (f"models:/fraud@{shared}.champion", "Invalid alias name"),
    (f"models:/a@{shared}.fraud@champion", "not found"),
    (f"models:/org.{shared}.fraud@champion", "not found"),
    (f"models:/{shared}.nothing@champion", "not found"),
    (f"models:/{shared}.fraud@nobody", "Registered model alias nobody not found."),
    (f"models:/{shared}.fraud/99", "not found"),
    (f"models:/{shared}.fraud/Production", "No versions of model"),
    (f"models:/{unique('nowhere')}.fraud@champion", "not found"),
    (f"models:/{prod}.fraud@champion", "not found"),
    (f"registry://{shared}/fraud", "Could not find a registered artifact repository"),
):
    assert part in message(uri), f"{uri} is answered with: {message(uri)}"
ok("2.1 T9", "colons, tildes, escapes, three parts, unknown aliases, versions, registries and workspaces are refused by name")

for name in (f"{shared}/fraud", f"{shared}:fraud", f"{shared}.a/b", f"{shared}.a:b"):
    refused("INVALID_PARAMETER_VALUE", client.create_registered_model, name)
    refused("INVALID_PARAMETER_VALUE", client.copy_model_version, "models:/fraud/1", name)
refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, "fraud", f"{shared}.champion", "1")
same(sorted(model.name for model in client.search_registered_models()), ["fraud"], "models of the workspace")
same([model.name for model in client.search_registered_models(f"name LIKE '{shared}.%'")], [f"{shared}.fraud"], "models of the registry")
ok("2.1", "nothing is made under a name with a slash or a colon")

for base, part in (
    (f"{SERVER}/registries/{unique('nowhere')}", "Registry 'nowhere"),
    (f"{SERVER}/registries/{dev}", f"Registry '{dev}' not found"),
    (f"{SERVER}/workspaces/{shared}", f"Workspace '{shared}' not found"),
    (f"{SERVER}/{shared}", "No endpoint for GET"),
    (f"{SERVER}/registry/{shared}", "No endpoint for GET"),
    (f"{SERVER}/registries/{shared}#fraud", "No endpoint for GET"),
):
    enter(tracking_uri=base)
    assert part in message("models:/fraud@champion"), f"{base} is answered with: {message('models:/fraud@champion')}"
enter()
ok("2.1", "an address below which there is no such registry or workspace says so")

enter(shared)
for call in (lambda: client.create_experiment("training"), mlflow.start_run, lambda: mlflow.log_metric("m", 1.0)):
    text = refused("INVALID_PARAMETER_VALUE", call)
    assert f"'{shared}' is a registry" in text and f"'{shared}.<model>'" in text and "MLFLOW_REGISTRY_URI" in text, text
enter()
ok("2.2", "what needs a run is refused in a registry, with what to set instead")

enter(dev)
for cut in (f"models://{shared}/fraud@champion", f"models:/fraud@champion?registry={shared}"):
    same(predicted(cut), 1.0, f"{cut}, of which the client sends only 'fraud'")
enter(prod)
for cut in (f"models://{shared}/fraud@champion", f"models:/fraud@champion?registry={shared}"):
    assert "name=fraud not found" in message(cut)
enter()
ok("2.1", "an authority or a query is cut off by the client, and means the workspace's own model: as documented")
