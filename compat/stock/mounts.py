"""Mounts: one string names dev's own model in dev and the registry's model in prod, with nothing changed in the program."""

from common import api, enter, log_constant, make_registries, ok, predicted, refused, same, unique

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
[shared] = make_registries("shared")
STRING = "models:/fraud@champion"

enter(dev)
mlflow.set_experiment("training")
for value in (1.0, 2.0):
    with mlflow.start_run():
        log_constant(value, registered_model_name="fraud")
client.set_registered_model_alias("fraud", "champion", "1")
client.copy_model_version(STRING, f"{shared}.fraud")
client.set_registered_model_alias(f"{shared}.fraud", "champion", "1")
client.set_registered_model_alias("fraud", "champion", "2")

api("PUT", f"/workspaces/{prod}/mounts/fraud", {"registry": shared, "name": "fraud", "alias_map": {"live": "champion"}})
same(predicted(STRING), 2.0, "the champion in dev")
enter(prod)
for uri in (STRING, "models:/fraud@live", "models:/fraud/1", "models:/fraud/latest"):
    same(predicted(uri), 1.0, f"{uri} in prod")
ok("2.2(4)", "the same string loads dev's own model in dev and the governed one in prod, also by a mapped alias, number and latest")

champion = client.get_model_version_by_alias("fraud", "champion")
same((champion.name, champion.version, sorted(champion.aliases)), ("fraud", "1", ["champion", "live"]), "the champion in prod")
same([(each.name, each.version) for each in client.search_model_versions("name='fraud'")], [("fraud", "1")], "versions found")
same([each.name for each in client.search_registered_models()], ["fraud"], "models listed")
same(client.get_registered_model("fraud").aliases["live"], "1", "a mapped alias of the model")
assert mlflow.models.get_model_info(STRING).signature is not None, "no signature"
ok("2.2(4)", "search, list, aliases and get_model_info know the model by its local name")

for call, arguments in (
    (client.set_registered_model_alias, ("fraud", "champion", "1")),
    (client.delete_registered_model_alias, ("fraud", "champion")),
    (client.set_model_version_tag, ("fraud", "1", "k", "v")),
    (client.transition_model_version_stage, ("fraud", "1", "Production")),
    (client.update_registered_model, ("fraud", "mine")),
    (client.delete_model_version, ("fraud", "1")),
    (client.delete_registered_model, ("fraud",)),
):
    assert f"'{shared}.fraud'" in refused("PERMISSION_DENIED", call, *arguments), f"{call.__name__} does not name the model to write to"
assert f"'{shared}.fraud'" in refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, "fraud"), "creation does not name the model"
mlflow.set_experiment("retraining")
with mlflow.start_run():
    info = log_constant(3.0)
assert f"'{shared}.fraud'" in refused("PERMISSION_DENIED", mlflow.register_model, info.model_uri, "fraud"), "registration does not name the model"
same(mlflow.register_model(info.model_uri, f"{shared}.fraud").version, "2", "registration by the shared name")
same(predicted("models:/fraud/2"), 3.0, "the new version, by the mount")
ok("2.2(4)", "a mount is read only: whatever would write says which model to write to")

api("DELETE", f"/workspaces/{prod}/mounts/fraud")
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "fraud")
same(predicted(f"models:/{shared}.fraud@champion"), 1.0, "the shared model, after its mount is gone")
ok("2.2(4)", "removing a mount leaves the shared model as it is")
