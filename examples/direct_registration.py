"""
Direct registration: a model folder on this machine goes straight into the registry "shared", with a name, a version number and a description.
Every workspace lists and loads it from there. It needs mlflow and nothing else:

    MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python examples/direct_registration.py
"""

import os
import tempfile

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

SERVER = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000").rstrip("/")
mlflow.set_tracking_uri(SERVER)
mlflow.set_experiment("direct-registration")


class Discount(mlflow.pyfunc.PythonModel):
    """Takes ten per cent off each price."""

    def predict(self, model_input: list[float]) -> list[float]:
        return [round(price * 0.9, 2) for price in model_input]


# A registry is made once; this script may run again.
made = requests.post(f"{SERVER}/api/1.0/registries", json={"name": "shared", "description": "Models of all workspaces"}, timeout=30)
print("Made the registry shared" if made.ok else made.json()["message"])

# Two clients in one process: one of the workspace, where the runs are, and one of the registry.
workspace = MlflowClient()
registry = MlflowClient(registry_uri=f"{SERVER}/registries/shared")

with tempfile.TemporaryDirectory() as folder:
    mlflow.pyfunc.save_model(f"{folder}/discount", python_model=Discount(), pip_requirements=["mlflow"])
    with mlflow.start_run() as run:
        mlflow.log_artifacts(f"{folder}/discount", "discount")
print("Saved the model to a folder, and sent it")

if not registry.search_registered_models("name = 'discount'"):
    registry.create_registered_model("discount", description="Prices after the discount.")
taken = [int(version.version) for version in registry.search_model_versions("name = 'discount'")]
number = str(max(taken, default=100) + 1)


def register():
    """Registers the folder as this very version; without the tag it would be the next one."""
    return registry.create_model_version(
        "discount",
        f"runs:/{run.info.run_id}/discount",
        run.info.run_id,
        description="Ten per cent off.",
        tags={"mlflow.promotion.version": number},
    )


version = register()
print(f"Registered version {version.version} of {version.name} in shared: {version.description}")
print(f"Models in shared: {[model.name for model in registry.search_registered_models()]}")

try:
    register()
except MlflowException as error:
    print(f"Registering it again is refused: {error.message}")

# From any workspace, by the registry's name, a dot and the model's name.
model = mlflow.pyfunc.load_model(f"models:/shared.discount/{number}")
print(f"models:/shared.discount/{number} says {model.predict([10.0, 99.9])}")
print(f"It was made by run {workspace.get_run(version.run_id).info.run_name}")
