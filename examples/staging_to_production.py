"""
Staging, registry, production: a model is registered in the workspace staging, promoted to the registry "shared", and loaded in the workspace
production by its alias. Production sees which run of staging made it, but not the run itself. It needs mlflow and nothing else:

    MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python examples/staging_to_production.py
"""

import os

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

SERVER = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000").rstrip("/")
mlflow.set_tracking_uri(SERVER)
client = MlflowClient()


class Discount(mlflow.pyfunc.PythonModel):
    """Takes a share off each price."""

    def __init__(self, share):
        self.share = share

    def predict(self, model_input: list[float]) -> list[float]:
        return [round(price * (1 - self.share), 2) for price in model_input]


# An administrator makes these once; this script may run again.
for workspace in ("staging", "production"):
    if workspace not in [known.name for known in client.list_workspaces()]:
        client.create_workspace(workspace)
requests.post(f"{SERVER}/api/1.0/registries", json={"name": "shared"}, timeout=30)

print("In staging")  # a shell with MLFLOW_WORKSPACE=staging
mlflow.set_workspace("staging")
mlflow.set_experiment("training")
with mlflow.start_run() as run:
    mlflow.log_param("share", 0.2)
    mlflow.log_metric("error", 0.05)
    info = mlflow.pyfunc.log_model(
        name="model", python_model=Discount(0.2), pip_requirements=["mlflow"], registered_model_name="price"
    )
print(f"  registered price version {info.registered_model_version}, made by run {run.info.run_name}")

promoted = client.copy_model_version(f"models:/price/{info.registered_model_version}", "shared.price")
print(f"  promoted it: {promoted.name} version {promoted.version}, the same files by digest {promoted.tags['mlflow.promotion.digest'][:12]}")
client.set_registered_model_alias("shared.price", "champion", promoted.version)
print(f"  shared.price@champion is version {promoted.version}")

print("In production")  # a shell with MLFLOW_WORKSPACE=production
mlflow.set_workspace("production")
model = mlflow.pyfunc.load_model("models:/shared.price@champion")
print(f"  models:/shared.price@champion says {model.predict([10.0, 99.9])}")

champion = client.get_model_version_by_alias("shared.price", "champion")
url = f"{SERVER}/api/1.0/registries/shared/models/price/versions/{champion.version}/provenance"
origin = requests.get(url, timeout=30).json()["snapshot"]
metrics = {metric["key"]: metric["value"] for metric in origin["run"]["data"]["metrics"]}
print(f"  version {champion.version} came from {origin['source']['name']} version {origin['source']['version']} of {origin['source']['workspace']}")
print(f"  made by run {origin['run']['info']['run_name']} of experiment {origin['experiment']['name']}, error {metrics['error']}")
try:
    client.get_run(champion.run_id)
except MlflowException as error:
    print(f"  the run itself is staging's: {error.message}")
