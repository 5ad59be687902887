"""Train, log, register in every way the client offers, and load what was logged."""

import tempfile
from pathlib import Path

from common import OtherProcess, PIP_REQUIREMENTS, ok, refused, same, unique

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

client = MlflowClient()
name = unique("diabetes")
experiment_id = mlflow.set_experiment(unique("register-and-load")).experiment_id
other_process = OtherProcess()

X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:5]
model = Ridge(alpha=0.1).fit(X, y)
expected = model.predict(rows)
signature = infer_signature(X, model.predict(X))

with mlflow.start_run() as run:
    model_info = mlflow.sklearn.log_model(
        model, name="model", signature=signature, input_example=rows, registered_model_name=name
    )
run_id = run.info.run_id
same(int(model_info.registered_model_version), 1, "first version")
same(client.get_registered_model(name).name, name, "the registered model made by log_model")
ok("D3", "log_model(registered_model_name=) logs and registers in one call")

by_run = mlflow.register_model(f"runs:/{run_id}/model", name)
same((int(by_run.version), by_run.run_id, by_run.current_stage), (2, run_id, "None"), "version, run id and stage")
absent = unique("absent")
same(int(mlflow.register_model(f"runs:/{run_id}/model", absent).version), 1, "first version of a model made by register_model")
ok("D2", "register_model('runs:/...') creates the registered model when absent and keeps the run id")

by_model_id = mlflow.register_model(name=name, model_uri=model_info.model_uri)
same(int(by_model_id.version), 3, "version registered from models:/m-...")
same(client.get_model_version(name, "3").run_id, run_id, "run id that the server takes from the logged model")
tag = client.get_logged_model(model_info.model_id).tags["mlflow.modelVersions"]
for number in ("1", "2", "3"):
    assert f'"version": {number}' in tag, f"set_logged_model_tags must have recorded version {number}, the tag is {tag}"
ok("E2", "register_model('models:/m-...') links run and logged model")

with tempfile.TemporaryDirectory() as folder:
    local = Path(folder, "model")
    mlflow.sklearn.save_model(model, local, signature=signature, pip_requirements=PIP_REQUIREMENTS)
    message = refused("INVALID_PARAMETER_VALUE", mlflow.register_model, str(local), name)
    assert "local path" in message, f"the refusal must say that local paths cannot be a source, it says: {message}"
    with mlflow.start_run() as upload:
        mlflow.log_artifacts(str(local), "uploaded")
    from_folder = mlflow.register_model(f"runs:/{upload.info.run_id}/uploaded", name)
same((int(from_folder.version), from_folder.run_id), (4, upload.info.run_id), "version and run of an uploaded folder")
ok("B2", "a local folder is refused as a source, and registers once logged as artifacts")

copied = client.copy_model_version(f"models:/{name}/1", absent)
same((copied.name, int(copied.version), copied.run_id), (absent, 2, run_id), "copied version")
np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{absent}/2").predict(rows), expected)
ok("B4", "copy_model_version makes a version with the run of the first, and loads")

confirmed = client.get_model_version(name, 4)
same((confirmed.name, confirmed.version, confirmed.status), (name, "4", "READY"), "get_model_version")
assert "not found" in refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, name, "99")
ok("D4", "get_model_version confirms the registration")

for uri in [*(f"models:/{name}/{version}" for version in (1, 2, 3, 4, "latest")), model_info.model_uri]:
    np.testing.assert_allclose(mlflow.pyfunc.load_model(uri).predict(rows), expected, err_msg=uri)
np.testing.assert_allclose(mlflow.sklearn.load_model(f"models:/{name}/1").predict(rows), expected)
ok("E3", "load_model by version, latest and model id predicts as the model in memory")

with other_process:
    np.testing.assert_allclose(other_process.predict(f"models:/{name}/1", rows), expected)
    np.testing.assert_allclose(other_process.predict(f"models:/{name}/latest", rows), expected)
ok("E3", "another process loads the same model")

for uri in (f"models:/{name}/1", f"models:/{name}/4", f"runs:/{run_id}/model", model_info.model_uri):
    same(mlflow.models.get_model_info(uri).signature, signature, f"signature of {uri}")
loaded = mlflow.pyfunc.load_model(f"models:/{name}/1")
same(loaded.metadata.get_input_schema(), signature.inputs, "input schema of the loaded model")
np.testing.assert_allclose(loaded.input_example, rows)
ok("E4", "signature and input example are those of log time")

client.set_registered_model_alias(name, "champion", "1")
logged = {path.name: path.read_bytes() for path in Path(mlflow.artifacts.download_artifacts(model_info.model_uri)).iterdir()}
folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}@champion"))
downloaded = {path.name: path.read_bytes() for path in folder.iterdir()}
logged.pop("registered_model_meta", None)  # written by the client into what it downloads
for file in ("MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml", "input_example.json"):
    assert file in downloaded, f"the download lacks {file}, it has {sorted(downloaded)}"
for file, content in logged.items():
    same(downloaded[file], content, f"bytes of {file}")
np.testing.assert_allclose(mlflow.pyfunc.load_model(str(folder)).predict(rows), expected)
ok("F12", "download_artifacts('models:/name@alias') gives the bytes that were logged, in a folder any MLflow tool serves")

client.delete_model_version(name, "4")
same(int(mlflow.register_model(model_info.model_uri, name).version), 5, "version after the newest was deleted")
client.delete_model_version(name, "2")
same(int(mlflow.register_model(model_info.model_uri, name).version), 6, "version after an older one was deleted")
versions = {int(version.version) for version in client.search_model_versions(f"name='{name}'")}
same(versions, {1, 3, 5, 6}, "versions that are left")
ok("D1", "version numbers go up by one and are never used again")

client.rename_registered_model(absent, absent + "-renamed")
np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{absent}-renamed/2").predict(rows), expected)
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, absent)
client.delete_registered_model(absent + "-renamed")
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, absent + "-renamed")
assert "already exists" in refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, name)
ok("D1", "a registered model is renamed and deleted, and its name is unique")
