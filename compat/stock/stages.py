"""Stages, the older way to say which version is in use. The Python client asks by POST, the Java and R clients by GET."""

import json
import urllib.parse
import urllib.request
import warnings

from common import PIP_REQUIREMENTS, SERVER, ok, refused, same, unique

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier

warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated in the client, and say so at each call

client = MlflowClient()
name = unique("wine")
mlflow.set_experiment(unique("stages"))

X, y = load_wine(return_X_y=True, as_frame=True)
for constant in (0, 1, 2):
    with mlflow.start_run():
        model = DummyClassifier(strategy="constant", constant=constant).fit(X, y)
        mlflow.sklearn.log_model(model, name="model", registered_model_name=name, pip_requirements=PIP_REQUIREMENTS)


def stages():
    return {int(version.version): version.current_stage for version in client.search_model_versions(f"name='{name}'")}


def latest_by_get(*stages):
    query = urllib.parse.urlencode([("name", name), *(("stages", stage) for stage in stages)])
    with urllib.request.urlopen(f"{SERVER}/api/2.0/mlflow/registered-models/get-latest-versions?{query}") as reply:
        return {version["current_stage"]: version["version"] for version in json.load(reply).get("model_versions", [])}


def latest_by_post(*stages):
    return {version.current_stage: version.version for version in client.get_latest_versions(name, list(stages) or None)}


moved = client.transition_model_version_stage(name, "1", "Production")
same((moved.version, moved.current_stage), ("1", "Production"), "reply of the transition")
client.transition_model_version_stage(name, "2", "staging")
same(stages(), {1: "Production", 2: "Staging", 3: "None"}, "stages")
ok("D6", "transition_model_version_stage moves a version; stage names are read in any case")

same(mlflow.pyfunc.load_model(f"models:/{name}/Production").predict(X[:1])[0], 0, "prediction of the Production version")
same(mlflow.pyfunc.load_model(f"models:/{name}/Staging").predict(X[:1])[0], 1, "prediction of the Staging version")
ok("E3 D6", "models:/name/Production loads the version of that stage")

for latest in (latest_by_post, latest_by_get):
    same(latest("Staging"), {"Staging": "2"}, f"{latest.__name__}(Staging)")
    same(latest("Staging", "Production"), {"Staging": "2", "Production": "1"}, f"{latest.__name__}(Staging, Production)")
    same(latest("Archived"), {}, f"{latest.__name__}(Archived)")
    same(latest(), {"None": "3", "Staging": "2", "Production": "1"}, f"{latest.__name__}()")
ok("D5", "get_latest_versions answers by POST and by GET with repeated stages")

client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
same(stages(), {1: "Archived", 2: "Production", 3: "None"}, "stages after archive_existing_versions")
same(mlflow.pyfunc.load_model(f"models:/{name}/Production").predict(X[:1])[0], 1, "prediction of the new Production version")
ok("D6", "archive_existing_versions archives the others")

client.transition_model_version_stage(name, "1", "Production")
same(stages(), {1: "Production", 2: "Production", 3: "None"}, "stages without archive_existing_versions")
same(latest_by_post("Production"), {"Production": "2"}, "the highest version of the stage")
client.transition_model_version_stage(name, "1", "None")
same(client.get_model_version(name, "1").current_stage, "None", "stage after a move back to None")
ok("D6", "two versions may share a stage, the higher one is the latest; a version can leave its stage")

message = refused("INVALID_PARAMETER_VALUE", client.transition_model_version_stage, name, "1", "Live")
assert "Live" in message, f"the message must name the stage, it says: {message}"
refused("INVALID_PARAMETER_VALUE", client.get_latest_versions, name, ["Live"])
refused("RESOURCE_DOES_NOT_EXIST", client.transition_model_version_stage, name, "99", "Production")
ok("D6", "unknown stages and versions are refused")

latest_versions = client.get_registered_model(name).latest_versions
same({version.current_stage: version.version for version in latest_versions}, {"None": "3", "Production": "2"}, "latest_versions")
ok("D5", "get_registered_model has the latest version of each stage")
