"""
One shared model from its first run to the day its workspace is gone, as a trace to read: registered in dev, promoted, loaded in prod by a process of
its own, released, rolled back; then dev is deleted with all it holds, and the registry's versions still load, verify and say what made them.
"""

import os
import time

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import Shell, api, enter, log_constant, make_registries, ok, same, unique, verify

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.workspace import WorkspaceDeletionMode

client = MlflowClient()
started = time.monotonic()


def trace(who, did, what):
    print(f"{time.monotonic() - started:6.2f} s  {who:<9} {did:<10} {what}", flush=True)


dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
[shared] = make_registries("shared")
name, champion = f"{shared}.fraud", f"models:/{shared}.fraud@champion"
model_path = f"/registries/{shared}/models/fraud"
trace("admin", "make", f"workspaces {dev} and {prod}, registry {shared}")

enter(dev)
mlflow.set_experiment("training")
claims = mlflow.data.from_pandas(pd.DataFrame({"amount": [1.0, 2.5]}), name="claims")
for value, auc in ((1.0, 0.81), (2.0, 0.84)):
    with mlflow.start_run() as run:
        mlflow.log_param("value", value)
        mlflow.log_metric("auc", auc)
        mlflow.log_input(claims, context="training")
        info = log_constant(value, registered_model_name="fraud")
    trace("dev", "register", f"fraud version {info.registered_model_version}: auc {auc}, run {run.info.run_id[:8]}, model {info.model_id[:10]}")
client.set_registered_model_alias("fraud", "champion", "1")
trace("dev", "alias", "fraud@champion is version 1")

for source in ("models:/fraud@champion", "models:/fraud/2"):
    promoted = client.copy_model_version(source, name)
    trace("dev", "promote", f"{source} to {name} version {promoted.version}: digest {promoted.tags['mlflow.promotion.digest'][:12]}")
client.set_registered_model_alias(name, "champion", "1")
trace("dev", "alias", f"{name}@champion is version 1")
digest = promoted.tags["mlflow.promotion.digest"]
same(digest, api("GET", f"/workspaces/{dev}/models/fraud/versions/2/manifest")["digest"], "digest of source and copy")
ok("A13", "registered in a workspace, promoted by the stock call, without an approval since nothing asks for one")

with Shell(MLFLOW_WORKSPACE=prod) as in_prod:
    same(in_prod.ask("client.get_registered_model('fraud')").get("error"), "RESOURCE_DOES_NOT_EXIST", "dev's own model in prod")
    same(in_prod.predicted(champion), 1.0, "loaded in prod")
    trace("prod", "load", f"{champion} predicts 1.0")
    client.set_registered_model_alias(name, "champion", "2")
    same(in_prod.predicted(champion), 2.0, "loaded in prod after the release")
    trace("dev", "release", f"{name}@champion is version 2")
    trace("prod", "load", f"{champion} predicts 2.0")
    back = api("POST", f"{model_path}/aliases/champion:rollback")
    same(in_prod.predicted(champion), 1.0, "loaded in prod after the rollback")
    trace("dev", "roll back", f"{name}@champion from version {back['from_version']} to {back['version']}")
    trace("prod", "load", f"{champion} predicts 1.0")
    moves = api("GET", f"{model_path}/aliases/champion/history")["moves"]
    same([move["to_version"] for move in moves], ["1", "2", "1"], "moves")
    ok("B4 E8 E9", "prod follows the alias to the new version and back, and the alias knows its moves")

    known = api("GET", f"{model_path}/versions/2/provenance")
    live = known["live_source"]
    trace("prod", "provenance", f"version 2: live source {live['scope']}/{live['name']}/{live['version']}, snapshot {known['sha256'][:12]}")
    enter()
    client.delete_workspace(dev, mode=WorkspaceDeletionMode.CASCADE)
    assert dev not in {workspace.name for workspace in client.list_workspaces()}
    trace("admin", "delete", f"workspace {dev} with its runs, models and files")

    same(in_prod.predicted(champion), 1.0, "loaded in prod after dev is gone")
    trace("prod", "load", f"{champion} predicts 1.0")
with Shell(MLFLOW_WORKSPACE=prod) as newcomer:
    same(newcomer.predicted(f"models:/{name}/2"), 2.0, "loaded by a new process")
    assert newcomer.get(f"mlflow.models.get_model_info('models:/{name}/2').signature is not None"), "no signature"
    trace("prod", "load", f"models:/{name}/2 in a new process predicts 2.0, with its signature")

after = api("GET", f"{model_path}/versions/2/provenance")
same((after["snapshot"], after["sha256"], "live_source" in after), (known["snapshot"], known["sha256"], False), "provenance after dev is gone")
run, [data] = after["snapshot"]["run"], after["snapshot"]["datasets"]
metrics, params = ({item["key"]: item["value"] for item in run["data"][kind]} for kind in ("metrics", "params"))
same((metrics["auc"], params["value"], data["digest"]), (0.84, "2.0", claims.digest), "what made version 2")
made_by = f"run {run['info']['run_id'][:8]}, auc {metrics['auc']}, data {data['name']} {data['digest']}"
trace("prod", "provenance", f"version 2: from {after['snapshot']['source']['workspace']}/fraud/2, {made_by}, snapshot {after['sha256'][:12]}")
for version in ("1", "2"):
    result = verify(f"registries/{shared}", "fraud", version)
    same((result["status"], result["damaged"]), ("OK", []), f"verification of version {version}")
    trace("prod", "verify", f"version {version}: {result['status']}, digest {result['digest'][:12]}")
same(result["digest"], digest, "digest of version 2")
ok("A17 F6 T1 T8", "with the workspace gone the versions load, their account is the same, and their bytes are those that were promoted")
