"""Where a shared version came from: told by the registry alone, the same after its source changed and after its workspace is gone."""

import hashlib
import json
import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import api, enter, log_constant, make_registries, ok, predicted, same, unique, verify

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.workspace import WorkspaceDeletionMode

client = MlflowClient()
dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
shared, curated = make_registries("shared", "curated")

GIT = {
    "mlflow.source.git.commit": "4f0b1a2",
    "mlflow.source.git.branch": "main",
    "mlflow.source.git.repoURL": "https://git.example/fraud.git",
    "mlflow.source.git.dirty": "true",
    "mlflow.project.entryPoint": "train",
    "mlflow.user": "ada",
}
enter(dev)
experiment = mlflow.set_experiment("training")
claims = mlflow.data.from_pandas(pd.DataFrame({"amount": [1.0, 2.5], "age": [30, 40]}), source="s3://claims/2026.parquet", name="claims")
run_ids, model_ids = [], []
for value in (1.0, 2.0):
    with mlflow.start_run(run_name=f"train-{value:g}", tags=GIT) as run:
        mlflow.log_params({"value": value, "depth": 6})
        for step in range(3):
            mlflow.log_metric("auc", 0.5 + value / 10 + step / 100, step=step)
        mlflow.log_input(claims, context="training")
        model_ids.append(log_constant(value, registered_model_name="fraud").model_id)
    run_ids.append(run.info.run_id)
client.set_registered_model_alias("fraud", "champion", "1")
client.copy_model_version("models:/fraud@champion", f"{shared}.fraud")
mlflow.register_model("models:/fraud/2", f"{shared}.fraud", tags={"mlflow.promotion.reason": "better"})
client.copy_model_version(f"models:/{shared}.fraud/1", f"{curated}.fraud")


def provenance(registry, version):
    read = api("GET", f"/registries/{registry}/models/fraud/versions/{version}/provenance")
    text = json.dumps(read["snapshot"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    same(hashlib.sha256(text.encode()).hexdigest(), read["sha256"], "SHA-256 of the snapshot")
    return read


def pairs(items):
    return {item["key"]: item["value"] for item in items}


before = {(registry, version): provenance(registry, version) for registry, version in ((shared, "1"), (shared, "2"), (curated, "1"))}
first, second = before[shared, "1"]["snapshot"], before[shared, "2"]["snapshot"]
source = {key: first["source"][key] for key in ("workspace", "name", "version", "run_id")}
same(source, {"workspace": dev, "name": "fraud", "version": "1", "run_id": run_ids[0]}, "source")
same((first["experiment"]["name"], first["run"]["info"]["run_name"]), ("training", "train-1"), "experiment and run")
same((first["run"]["info"]["experiment_id"], first["run"]["info"]["run_id"]), (experiment.experiment_id, run_ids[0]), "their ids")
same(pairs(first["run"]["data"]["params"]), {"value": "1.0", "depth": "6"}, "params")
same([(metric["key"], metric["value"], metric["step"]) for metric in first["run"]["data"]["metrics"]], [("auc", 0.62, 2)], "final metrics")
[data] = first["datasets"]
same((data["name"], data["digest"], data["context"]), ("claims", claims.digest, "training"), "data")
same(json.loads(data["source"])["uri"], "s3://claims/2026.parquet", "source of the data")
same([column["name"] for column in json.loads(data["schema"])["mlflow_colspec"]], ["amount", "age"], "schema of the data")
ok("A17", "which data, experiment, run, params and metrics made the version")

code = ("git_commit", "git_branch", "git_repo_url", "git_dirty", "entry_point", "user")
same([first["code"][key] for key in code], list(GIT.values()), "code")
same(first["logged_model"]["info"]["model_id"], model_ids[0], "logged model")
same(first["model"]["mlmodel"]["model_id"], model_ids[0], "MLmodel file")
assert "double" in first["model"]["mlmodel"]["signature"]["inputs"] and "python_function" in first["model"]["mlmodel"]["flavors"]
assert first["model"]["environment"]["requirements"] == ["mlflow"] and first["model"]["environment"]["conda"]["dependencies"]
same(first["digest"], api("GET", f"/registries/{shared}/models/fraud/versions/1/manifest")["digest"], "digest")
ok("F8 A17", "code with its commit and whether it was dirty, entry point, environment, signature and digest: what is needed to train it again")

same((first["promotion"]["reason"], second["promotion"]["reason"]), ("", "better"), "reasons")
same((first["code"]["user"], [data["digest"] for data in second["datasets"]]), ("ada", [claims.digest]), "who trained, and on what")
changes = api("GET", f"/registries/{shared}/models/fraud/versions:compare?left=1&right=2")
same(changes["params"]["changed"], [{"name": "value", "left": "1.0", "right": "2.0"}], "params that changed")
same([change["name"] for change in changes["metrics"]["changed"]], ["auc"], "metrics that changed")
same((changes["signature"]["compatibility"], changes["same_files"]), ("COMPATIBLE", False), "signature and files")
for part in ("requirements", "datasets"):
    same(changes[part], {"added": [], "removed": [], "changed": []}, f"{part} that changed")
ok("E12", "who trained, on what data, why it was promoted, and what the next version has otherwise")

derived = before[curated, "1"]["snapshot"]
same((derived["source"]["registry"], derived["run"], derived["datasets"]), (shared, first["run"], first["datasets"]), "origin in the next registry")
same(derived["derived_from"], {"snapshot": first, "sha256": before[shared, "1"]["sha256"]}, "the snapshot that it was derived from")
ok("A17", "a version that went on to another registry knows its run too, and holds the account it came with")

same([before[shared, version]["live_source"]["name"] for version in ("1", "2")], ["fraud", "fraud"], "the sources as they are")
client.set_tag(run_ids[0], "mlflow.source.git.commit", "other")
client.log_param(run_ids[0], "late", "1")
client.delete_run(run_ids[0])
client.rename_experiment(experiment.experiment_id, "renamed")
client.rename_registered_model("fraud", "scam")
client.delete_model_version("scam", "1")
after = provenance(shared, "1")
same((after["snapshot"], "live_source" in after), (first, False), "after the run changed and the source version was deleted")
same(provenance(shared, "2")["live_source"], {"kind": "workspace", "scope": dev, "name": "scam", "version": "2"}, "the renamed source")
enter()
client.delete_workspace(dev, mode=WorkspaceDeletionMode.CASCADE)
for (registry, version), known in before.items():
    same(provenance(registry, version)["snapshot"], known["snapshot"], f"version {version} of {registry} after the workspace is gone")
    same(verify(f"registries/{registry}", "fraud", version)["status"], "OK", "verification")
enter(prod)
same([predicted(f"models:/{name}.fraud/1") for name in (shared, curated)], [1.0, 1.0], "predictions")
assert mlflow.models.get_model_info(f"models:/{shared}.fraud/2").signature.inputs
same(client.get_logged_model(model_ids[0]).model_id, model_ids[0], "the logged model, in another workspace")
ok("A17 T1 T8", "the account is the same after run, model and workspace are gone, and the version loads, verifies and has its signature")
enter()
