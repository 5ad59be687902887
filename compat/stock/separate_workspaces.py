"""Workspaces that have nothing in common but a registry: each uses its own version of one model, and sees nothing else of the others."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import SERVER, Shell, api, enter, log_constant, make_registries, ok, predicted, refused, same, unique

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
dev, test, prod = unique("dev"), unique("test"), unique("prod")
for workspace in (dev, test, prod):
    client.create_workspace(workspace)
[shared] = make_registries("shared")
name = f"{shared}.fraud"
in_prod = Shell(MLFLOW_WORKSPACE=prod)

enter(dev)
experiment_id = mlflow.set_experiment("training").experiment_id
run_ids = []
for value in (4.0, 5.0):
    with mlflow.start_run() as run:
        info = log_constant(value, registered_model_name="fraud")
        mlflow.log_text("of dev alone", "notes.txt")
    run_ids.append(run.info.run_id)
for number, alias in (("1", "prod"), ("2", "test")):
    client.copy_model_version(f"models:/fraud/{number}", name)
    client.set_registered_model_alias(name, alias, number)

with in_prod, tempfile.TemporaryDirectory() as folder:
    download = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "mlflow", "artifacts", "download", "-u", f"models:/{name}/1", "-d", folder],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_WORKSPACE": prod},
    )
    enter(test)  # and this process is test now
    for _ in range(2):
        same((in_prod.predicted(f"models:/{name}@prod"), predicted(f"models:/{name}@test")), (4.0, 5.0), "by alias")
        same((in_prod.predicted(f"models:/{name}/1"), predicted(f"models:/{name}/2")), (4.0, 5.0), "by number")
    client.set_registered_model_alias(name, "test", "1")
    same((in_prod.predicted(f"models:/{name}@prod"), predicted(f"models:/{name}@test")), (4.0, 4.0), "after test went back")
    client.set_registered_model_alias(name, "test", "2")
    same((in_prod.predicted(f"models:/{name}@prod"), predicted(f"models:/{name}@test")), (4.0, 5.0), "after test went on")
    ok("A16", "two workspaces use two versions of one model at once, and neither is touched by what the other does")

    client.set_registered_model_alias(name, "prod", "2")
    same(in_prod.predicted(f"models:/{name}@prod"), 5.0, "after the release")
    rolled_back = api("POST", f"/registries/{shared}/models/fraud/aliases/prod:rollback")
    same((rolled_back["from_version"], rolled_back["version"], in_prod.predicted(f"models:/{name}@prod")), ("2", "1", 4.0), "after the rollback")
    history = api("GET", f"/registries/{shared}/models/fraud/aliases/prod/history")["moves"]
    same([(move.get("from_version"), move["to_version"]) for move in history], [("2", "1"), ("1", "2"), (None, "1")], "moves")
    released = history[1]["moved_timestamp"]
    assert history[0]["moved_timestamp"] >= released, "moves are newest first"
    for time in (released - 1, history[0]["moved_timestamp"]):
        meant = api("GET", f"/registries/{shared}/models/fraud/aliases/prod?as_of={time}")["version"]
        same(meant, "1", "what the alias meant before the release, and after the rollback")
    ok("E8 E9", "a release and its rollback by one call; the alias knows every move, and what it meant at a time")

    enter(dev)
    version = in_prod.get(f"dict(client.get_model_version_by_alias({name!r}, 'prod'))")
    same(version["run_id"], run_ids[0], "the run of the version, as prod sees it")
    snapshot = api("GET", f"/registries/{shared}/models/fraud/versions/1/provenance")["snapshot"]
    same((snapshot["source"]["workspace"], snapshot["run"]["info"]["run_id"]), (dev, run_ids[0]), "the run and where it is")
    ok("B4", "the version in production names the run that made it, and the workspace of that run")

    for question in (
        f"client.get_run({run_ids[0]!r})",
        f"client.get_experiment({experiment_id!r})",
        f"client.list_artifacts({run_ids[0]!r})",
        f"mlflow.artifacts.load_text('runs:/{run_ids[0]}/notes.txt')",
        f"client.log_metric({run_ids[0]!r}, 'm', 1.0)",
        "client.get_registered_model('fraud')",
        f"client.get_registered_model('{dev}.fraud')",
    ):
        same(in_prod.ask(question).get("error"), "RESOURCE_DOES_NOT_EXIST", f"{question} in prod")
    same(in_prod.get(f"[r.info.run_id for r in client.search_runs([{experiment_id!r}])]"), [], "runs found in prod")
    same(in_prod.get("[e.name for e in client.search_experiments()]"), [], "experiments found in prod")
    same(in_prod.get("[m.name for m in client.search_registered_models()]"), [], "models found in prod")
    same(in_prod.get(f"[v.version for v in client.search_model_versions(\"run_id = '{run_ids[0]}'\")]"), [], "versions found by run in prod")
    assert in_prod.get(f"mlflow.models.get_model_info('models:/{name}@prod').signature.inputs.to_dict()"), "the signature is of the shared version"
    ok("A26 T1", "prod reads the shared version with its signature, and nothing else of dev: no run, experiment, artifact or model")

    in_prod.get("client.create_experiment('of-prod')")
    same(client.get_experiment_by_name("of-prod"), None, "prod's experiment, asked for in dev")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, in_prod.get("client.get_experiment_by_name('of-prod').experiment_id"))
    unpromoted = log_constant(6.0, registered_model_name="fraud")
    same(in_prod.ask(f"client.get_logged_model({unpromoted.model_id!r})").get("error"), "RESOURCE_DOES_NOT_EXIST", "a model that is not promoted")
    ok("A26", "dev sees nothing of prod; what dev has not promoted stays unknown")

    in_prod.get(f"mlflow.set_registry_uri('{SERVER}/registries/{shared}')")
    same(in_prod.predicted("models:/fraud@prod"), 4.0, "with the registry as registry URI, in a workspace")
    same(download.wait(timeout=200), 0, "exit code of mlflow artifacts download")
    downloaded = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()} - {"registered_model_meta"}
    manifest = api("GET", f"/registries/{shared}/models/fraud/versions/1/manifest")
    same(downloaded, {file["path"] for file in manifest["files"]}, "files downloaded by the command line in prod")
    ok("C3", "mlflow artifacts download, by dotted name")
same(predicted("models:/fraud/1"), 4.0, "dev's own")
ok("A16 B1", "one program, with a registry beside its workspace, loads the shared model by its bare name")
enter()
