"""
The three ways a stock client names a shared model, dotted name, base path and header, through one whole life each: register, load, annotate,
alias, stage, search, rename, delete. Then what takes precedence, and that each spelling sees what was done by another.
"""

import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import SERVER, enter, log_constant, make_registries, ok, predicted, refused, same, unique

import mlflow
import requests
from mlflow import MlflowClient

dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    MlflowClient().create_workspace(workspace)
[shared] = make_registries("shared")
base = f"{SERVER}/registries/{shared}"

enter(dev)
mlflow.set_experiment("training")
with mlflow.start_run() as run:
    logged = [log_constant(value) for value in (1.0, 2.0)]

# How a shell says which registry, and what a model is called in it. Some have no runs, or those of another workspace, to register from.
SPELLINGS = {
    "dotted name": ({"workspace": dev}, f"{shared}."),
    "registry URI": ({"workspace": dev, "registry_uri": base}, ""),
    "header": ({"workspace": shared}, ""),
    "tracking URI": ({"tracking_uri": base}, ""),
    "tracking URI and header": ({"tracking_uri": base, "workspace": prod}, ""),
    "dotted name, from another workspace": ({"workspace": prod}, f"{shared}."),
    "dotted name below a workspace": ({"tracking_uri": f"{SERVER}/workspaces/{prod}"}, f"{shared}."),
}

for spelling, (settings, prefix) in SPELLINGS.items():
    bare = unique("fraud")
    name, renamed = prefix + bare, f"{prefix}{bare}-renamed"
    registers = settings.get("workspace") == dev
    enter(**settings)
    if registers:
        made = [mlflow.register_model(info.model_uri, name) for info in logged]
    else:  # from the workspace, where the models are
        enter(dev)
        for info in logged:
            mlflow.register_model(info.model_uri, f"{shared}.{bare}")
        enter(**settings)
        made = [MlflowClient().get_model_version(name, number) for number in ("1", "2")]
    client = MlflowClient()
    same([(v.name, str(v.version), v.run_id) for v in made], [(name, "1", run.info.run_id), (name, "2", run.info.run_id)], f"{spelling}: versions")

    client.update_registered_model(name, description="Of all.")
    client.set_registered_model_tag(name, "team", "a")
    client.set_registered_model_tag(name, "old", "x")
    client.delete_registered_model_tag(name, "old")
    client.update_model_version(name, "1", description="First.")
    client.set_model_version_tag(name, "1", "checked", "yes")
    client.set_model_version_tag(name, "1", "old", "x")
    client.delete_model_version_tag(name, "1", "old")
    model, version = client.get_registered_model(name), client.get_model_version(name, "1")
    same((model.name, model.description, model.tags), (name, "Of all.", {"team": "a"}), f"{spelling}: model")
    own = {key: value for key, value in version.tags.items() if not key.startswith("mlflow.promotion.")}
    same((version.name, version.description, own), (name, "First.", {"checked": "yes"}), f"{spelling}: version")

    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "gone", "2")
    client.delete_registered_model_alias(name, "gone")
    client.transition_model_version_stage(name, "2", "Production")
    same(client.get_registered_model(name).aliases, {"champion": "1"}, f"{spelling}: aliases")
    same([(v.name, v.version) for v in client.get_latest_versions(name, ["Production"])], [(name, "2")], f"{spelling}: latest in production")
    expected = {"@champion": 1.0, "/latest": 2.0, "/Production": 2.0}
    same({how: predicted(f"models:/{name}{how}") for how in expected}, expected, f"{spelling}: predictions")
    assert mlflow.models.get_model_info(f"models:/{name}@champion").signature.inputs, f"{spelling}: no signature"

    found = client.search_model_versions(f"name = '{name}'", order_by=["version_number ASC"])
    same([(v.name, v.version, v.aliases) for v in found], [(name, "1", ["champion"]), (name, "2", [])], f"{spelling}: versions found")
    same([v.version for v in client.search_model_versions(f"name = '{name}' and tag.checked = 'yes'")], ["1"], f"{spelling}: found by tag")
    first = client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
    second = client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"], page_token=first.token)
    same([v.version for v in (*first, *second)], ["2", "1"], f"{spelling}: pages")
    for filter_string in (f"name = '{name}'", f"name LIKE '{name[:-1]}%'", f"name ILIKE '{name[:-1]}%'"):
        [model] = client.search_registered_models(filter_string)
        same((model.name, {v.name for v in model.latest_versions}), (name, {name}), f"{spelling}: {filter_string}")

    client.rename_registered_model(name, renamed)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, name)
    same(client.get_model_version_by_alias(renamed, "champion").name, renamed, f"{spelling}: renamed")
    client.delete_model_version(renamed, "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, renamed, "2")
    client.delete_registered_model(renamed)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, renamed)
    ok("B1 D2 T1 T12", f"the life of a model by {spelling}")

enter(dev)
with mlflow.start_run():
    log_constant(1.0, registered_model_name="fraud")
    log_constant(2.0, registered_model_name=f"{shared}.fraud")
enter(prod)
with mlflow.start_run(experiment_id=mlflow.create_experiment("own")):
    log_constant(3.0, registered_model_name="fraud")

cases = [
    ("the base path goes before the header", {"tracking_uri": base, "workspace": dev}, "fraud", 2.0),
    ("the dotted name goes before the header", {"workspace": prod}, f"{shared}.fraud", 2.0),
    ("the header goes before default", {"workspace": prod}, "fraud", 3.0),
    ("a registry as registry URI leaves the workspace its runs", {"workspace": prod, "registry_uri": base}, "fraud", 2.0),
    ("a workspace as base path", {"tracking_uri": f"{SERVER}/workspaces/{dev}"}, "fraud", 1.0),
    ("a workspace as base path goes before the header", {"tracking_uri": f"{SERVER}/workspaces/{dev}", "workspace": prod}, "fraud", 1.0),
    ("a dotted name from no workspace", {}, f"{shared}.fraud", 2.0),
    ("a dotted name below its registry", {"tracking_uri": base}, f"{shared}.fraud", 2.0),
    ("a registry URI with a slash behind", {"workspace": dev, "registry_uri": f"{base}/"}, "fraud", 2.0),
    ("a tracking URI with a slash behind", {"tracking_uri": f"{base}/"}, "fraud", 2.0),
    ("a doubled slash before the base path", {"tracking_uri": f"{SERVER}//registries/{shared}"}, "fraud", 2.0),
]
for what, settings, name, value in cases:
    enter(**settings)
    same(predicted(f"models:/{name}/1"), value, what)
enter()
refused("RESOURCE_DOES_NOT_EXIST", MlflowClient().get_registered_model, "fraud")
ok("B1", "base path before dotted name before header before default; what is below a base path is loaded from there")

enter(tracking_uri=base)
same(MlflowClient().get_model_version(f"{dev}.fraud", "1").name, f"{dev}.fraud", "a workspace's own model, read below the registry")
promoted = mlflow.register_model(f"models:/{dev}.fraud/1", "promoted")
same((promoted.name, predicted("models:/promoted/1")), ("promoted", 1.0), "a model of a workspace, promoted below the registry")
enter(prod)
same(MlflowClient().get_registered_model(f"{shared}.promoted").name, f"{shared}.promoted", "what was promoted below the registry, elsewhere")
refused("RESOURCE_DOES_NOT_EXIST", MlflowClient().get_registered_model, f"{dev}.fraud")
ok("A13", "below a registry <workspace>.<model> is the source of a promotion; elsewhere it is an ordinary name")

for path in ("//api/2.0/mlflow", f"/registries/{shared}//api/2.0/mlflow", f"//registries/{shared}/api/2.0/mlflow"):
    name = "fraud" if "registries" in path else f"{shared}.fraud"
    reply = requests.get(f"{SERVER}{path}/registered-models/get", params={"name": name}, timeout=30)
    same((reply.status_code, reply.json().get("registered_model", {}).get("name")), (200, name), path)
ok("T11", "doubled slashes are one")

enter(dev)
client = MlflowClient()
in_registry = ["fraud", "promoted"]


def names(found, prefix=""):
    return sorted(one.name.removeprefix(prefix) for one in found if one.name.startswith(prefix))


same(names(client.search_registered_models()), ["fraud"], "a search without a filter, in the workspace")
same(names(client.search_registered_models(f"name LIKE '{shared}.%'"), f"{shared}."), in_registry, "a search of the registry by LIKE")
same(names(client.search_model_versions(f"name IN ('{shared}.fraud')"), f"{shared}."), ["fraud"], "a search of the registry by IN")
enter(shared)
same(names(MlflowClient().search_registered_models()), in_registry, "a search without a filter, by header")
enter(dev)
same(names(MlflowClient(registry_uri=base).search_registered_models()), in_registry, "a search without a filter, by base path")
ok("B1", "a search finds the workspace's models, or those of the registry that its filter, base path or header names")
enter()
