"""
The URI that `model-commons model list` prints, azureml://registries/<registry>/models/<name>, in the hands of the stock client: as what is registered,
and as the name of the model. A client that loads needs the dotted name: it knows no files behind this scheme.
"""

import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import api, enter, log_constant, make_registries, ok, predicted, refused, same, unique

import mlflow
from mlflow import MlflowClient

dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    MlflowClient().create_workspace(workspace)
[shared] = make_registries("shared")
name = f"azureml://registries/{shared}/models/fraud"

enter(dev)
mlflow.set_experiment("training")
with mlflow.start_run() as run:
    log_constant(1.0)

made = mlflow.register_model(f"azureml://jobs/{run.info.run_id}/outputs/artifacts/paths/model", name)
same((made.name, made.version, made.run_id), (name, "1", run.info.run_id), "the registered version")
ok("A8 A14", "register_model takes a job's output path as the model and an azureml URI as the name")

same(api("GET", f"/registries/{shared}/models/fraud")["id"], name, "id of the model")
same(api("GET", f"/registries/{shared}/models/fraud/versions/1")["id"], f"{name}/versions/1", "id of the version")
ok("A8", "the API gives the same URIs as ids")

enter(prod)
client = MlflowClient()
same(client.get_model_version(name, "1").run_id, run.info.run_id, "run of the version")
same([version.version for version in client.search_model_versions(f"name = '{name}'")], ["1"], "versions found")
same(predicted(f"models:/{shared}.fraud/1"), 1.0, "the model by its dotted name")
for source in (name, f"{name}/versions/1", f"{name}/labels/latest"):
    same(mlflow.register_model(source, "fraud").source, f"models:/{shared}.fraud/1", f"source of {source}")
same(predicted("models:/fraud/3"), 1.0, "the copy")
copied = client.copy_model_version("models:/fraud/1", f"{name}-copy")
same((copied.name, predicted(f"models:/{shared}.fraud-copy/1")), (f"{name}-copy", 1.0), "promoted by copy_model_version")
ok("A8 A9", "an azureml URI is a source by version, by label and without either, which is the latest")

told = refused("INVALID_PARAMETER_VALUE", mlflow.register_model, f"{name}/versions/x", "fraud")
assert "Write azureml://registries/" in told, told
told = refused("RESOURCE_DOES_NOT_EXIST", mlflow.register_model, f"{name}/versions/9", "fraud")
assert "version=9" in told, told
for uri in (f"azureml://registries/{shared}/environments/fraud/versions/1", f"azureml://{shared}/fraud"):
    refused("INVALID_PARAMETER_VALUE", mlflow.register_model, uri, f"{shared}.refused")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, f"{shared}.refused")
ok("A8", "a malformed one is refused with how to write it, a missing version as missing, and no empty model stays behind")
