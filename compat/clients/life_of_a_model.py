"""
The life of a model, told once for every MLflow from 1.30 on: what a client does not know yet, it leaves out. Each line it prints is
a statement that held; the first word is what the table in README.md says that this client did.
"""

import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "stock"))
warnings.simplefilter("ignore")  # stages are deprecated, and used on purpose

from common import PIP_REQUIREMENTS, SERVER, make_registries, ok, refused, reply_to, same, unique

import mlflow
import mlflow.artifacts
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models.signature import infer_signature
from mlflow.tracking import MlflowClient
from sklearn.linear_model import Lasso, Ridge

HAS_ALIASES = hasattr(MlflowClient, "set_registered_model_alias")  # 2.3
HAS_DATASETS = hasattr(mlflow, "log_input")  # 2.4
HAS_COPY = hasattr(MlflowClient, "copy_model_version")  # 2.8
HAS_LOGGED_MODELS = hasattr(MlflowClient, "search_logged_models")  # 3.0
HAS_REGISTRIES = reply_to("GET", "/registries").status_code != 404  # not the stock server
HAS_ORDERED_VERSIONS = int(mlflow.__version__.split(".")[0]) >= 2  # the order_by of search_model_versions

client = MlflowClient()
name, experiment_name = unique("life"), unique("life")

mlflow.set_experiment(experiment_name)
experiment = client.get_experiment_by_name(experiment_name)
experiment_id = experiment.experiment_id
client.set_experiment_tag(experiment_id, "team", "a")
same(client.get_experiment(experiment_id).tags["team"], "a", "tag of the experiment")
found = client.search_experiments(filter_string=f"name = '{experiment_name}' and tags.team = 'a'")
same([one.experiment_id for one in found], [experiment_id], "experiments found")
ok("experiment", "set_experiment makes one, which is tagged and found")

X = pd.DataFrame({"age": np.linspace(20, 60, 40), "bmi": np.tile([19.5, 24.0, 31.0, 27.5], 10)})
y = X["age"] * 2 + X["bmi"]
rows = X[:4]
models = [Ridge(alpha=0.1).fit(X, y), Lasso(alpha=0.5).fit(X, y)]
predictions = [model.predict(rows) for model in models]
signature = infer_signature(X, models[0].predict(X))


def log_model(model, **options):
    where = {"name": "model"} if HAS_LOGGED_MODELS else {"artifact_path": "model"}
    return mlflow.sklearn.log_model(
        model, **where, signature=signature, input_example=rows, pip_requirements=PIP_REQUIREMENTS, **options
    )


run_ids, infos = [], []
for number, model in enumerate(models, start=1):
    with mlflow.start_run(run_name=f"train-{number}") as run:
        mlflow.log_param("alpha", model.alpha)
        mlflow.log_params({"kind": type(model).__name__, "quoted": "a 'b' \"c\" ü"})
        for step in range(3):
            mlflow.log_metric("loss", 1.0 / (step + number), step=step)
        mlflow.log_metrics({"r2": model.score(X, y), "rows": len(X)})
        mlflow.set_tags({"number": str(number), "mlflow.note.content": "by hand"})
        mlflow.log_text("äöü 🌸", "notes/text.txt")
        mlflow.log_dict({"a": [1, 2]}, "notes/deep/dict.json")
        if HAS_DATASETS:
            mlflow.log_input(mlflow.data.from_pandas(X, name="people"), context="training")
        infos.append(log_model(model, registered_model_name=name) if number == 1 else log_model(model))
    run_ids.append(run.info.run_id)

read = client.get_run(run_ids[1])
same((read.info.status, read.data.params), ("FINISHED", {"alpha": "0.5", "kind": "Lasso", "quoted": "a 'b' \"c\" ü"}), "status and params")
same({key: read.data.metrics[key] for key in ("loss", "rows")}, {"loss": 0.25, "rows": 40.0}, "latest metrics")
same([(metric.step, metric.value) for metric in client.get_metric_history(run_ids[1], "loss")], [(0, 0.5), (1, 1 / 3), (2, 0.25)], "history")
same((read.data.tags["number"], read.data.tags["mlflow.runName"]), ("2", "train-2"), "tags")
found = client.search_runs([experiment_id], "params.kind = 'Lasso' and metrics.loss < 0.3 and tags.number = '2'")
same([run.info.run_id for run in found], [run_ids[1]], "runs found")
same([run.info.run_id for run in client.search_runs([experiment_id], order_by=["metrics.loss DESC"])], run_ids, "order of the runs")
same([file.path for file in client.list_artifacts(run_ids[0], "notes")], ["notes/deep", "notes/text.txt"], "artifacts listed")
same(mlflow.artifacts.load_text(f"runs:/{run_ids[0]}/notes/text.txt"), "äöü 🌸", "text of the artifact")
ok("run", "params, metrics with their history, tags and artifacts are logged, read and searched")

if HAS_DATASETS:
    [logged] = client.get_run(run_ids[0]).inputs.dataset_inputs
    same((logged.dataset.name, [(tag.key, tag.value) for tag in logged.tags]), ("people", [("mlflow.data.context", "training")]), "dataset")
    ok("dataset", "log_input keeps the dataset with its context")

if HAS_LOGGED_MODELS:
    found = client.search_logged_models(experiment_ids=[experiment_id], filter_string="params.kind = 'Lasso'")
    same([model.model_id for model in found], [infos[1].model_id], "logged models found")
    same((found[0].source_run_id, found[0].status.value), (run_ids[1], "READY"), "run and status of the logged model")
    ok("logged-model", "log_model makes one that is ready, and found by the params of its run")

version = mlflow.register_model(f"runs:/{run_ids[1]}/model", name)
same((int(version.version), version.run_id, version.status), (2, run_ids[1], "READY"), "version registered from a run")
same(client.get_model_version(name, "1").run_id, run_ids[0], "run of the version that log_model registered")
assert "already exists" in refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, name)
ok("register", "log_model(registered_model_name=) and register_model make versions 1 and 2")

client.update_registered_model(name, description="The *life* of a model.")
client.set_registered_model_tag(name, "team", "a")
client.set_registered_model_tag(name, "old", "x")
client.delete_registered_model_tag(name, "old")
for number in ("1", "2"):
    client.update_model_version(name, number, description=f"Number {number}.")
    client.set_model_version_tag(name, number, "checked", "yes" if number == "1" else "no")
client.set_model_version_tag(name, "1", "old", "x")
client.delete_model_version_tag(name, "1", "old")
model, version = client.get_registered_model(name), client.get_model_version(name, "1")
same((model.description, model.tags), ("The *life* of a model.", {"team": "a"}), "description and tags of the model")
same((version.description, version.tags), ("Number 1.", {"checked": "yes"}), "description and tags of version 1")
ok("annotate", "descriptions and tags of the model and its versions are set, deleted and read")

same({found.version for found in client.search_model_versions(f"name = '{name}'")}, {"1", "2"}, "versions found by name")
same([found.version for found in client.search_model_versions(f"run_id = '{run_ids[1]}'")], ["2"], "versions found by run")
if HAS_ORDERED_VERSIONS:
    found = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"], max_results=1)
    same(([one.version for one in found], bool(found.token)), (["2"], True), "the newest version, and that there are more")
    same([one.version for one in client.search_model_versions(f"name = '{name}' and tag.checked = 'no'")], ["2"], "versions found by tag")
same([found.name for found in client.search_registered_models(f"name = '{name}'")], [name], "models found by name")
found = client.search_registered_models(f"name LIKE '{name[:-1]}%' and tag.team = 'a'", order_by=["last_updated_timestamp DESC"])
same([one.name for one in found], [name], "models found by prefix and tag")
ok("search", "search_model_versions and search_registered_models, by name, run, prefix and tag")

for number, expected in enumerate(predictions, start=1):
    loaded = mlflow.pyfunc.load_model(f"models:/{name}/{number}")
    np.testing.assert_allclose(loaded.predict(rows), expected)
    same(loaded.metadata.signature, signature, f"signature of version {number}")
np.testing.assert_allclose(mlflow.sklearn.load_model(f"models:/{name}/latest").predict(rows), predictions[1])
np.testing.assert_allclose(mlflow.pyfunc.load_model(f"runs:/{run_ids[0]}/model").predict(rows), predictions[0])
ok("load", "by version, latest and run, with the predictions and the signature of the model in memory")

for number, expected in ((1, predictions[0]), (2, predictions[1]), (1, predictions[0])):
    client.transition_model_version_stage(name, number, "Production", archive_existing_versions=True)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{name}/Production").predict(rows), expected)
same({found.version: found.current_stage for found in client.get_latest_versions(name)}, {"1": "Production", "2": "Archived"}, "stages")
same([found.version for found in client.get_latest_versions(name, ["Production"])], ["1"], "latest version in production")
ok("stage", "Production moves to the next version and back, archives the other, and load_model follows")

if HAS_ALIASES:
    for number, expected in ((1, predictions[0]), (2, predictions[1]), (1, predictions[0])):
        client.set_registered_model_alias(name, "champion", str(number))
        np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(rows), expected)
        same(client.get_model_version_by_alias(name, "champion").version, str(number), "version under the alias")
    client.set_registered_model_alias(name, "challenger", "2")
    same(client.get_registered_model(name).aliases, {"champion": "1", "challenger": "2"}, "aliases of the model")
    same(client.get_model_version(name, "2").aliases, ["challenger"], "aliases of version 2")
    client.delete_registered_model_alias(name, "challenger")
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, name, "challenger")
    ok("alias", "champion moves to the next version and back, load_model follows, an unknown alias is refused")


def files_below(folder):
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.name != "registered_model_meta"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


with tempfile.TemporaryDirectory() as folder:
    folders = {}
    for label, uri in (("run", f"runs:/{run_ids[0]}/model"), ("version", f"models:/{name}/1")):
        Path(folder, label).mkdir()
        folders[label] = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(Path(folder, label)))
    logged, registered = files_below(folders["run"]), files_below(folders["version"])
    assert {"MLmodel", "requirements.txt"} <= set(registered), f"the download has {sorted(registered)}"
    same(set(registered), set(logged), "files of the version and of what the run logged")
    for file, content in logged.items():
        same(registered[file], content, f"bytes of {file}")
    np.testing.assert_allclose(mlflow.pyfunc.load_model(folders["version"]).predict(rows), predictions[0])
ok("download", "download_artifacts('models:/...') gives byte for byte what the run logged")

if HAS_COPY:
    copy_name = unique("copy")
    source = f"models:/{name}@champion"
    copied = client.copy_model_version(source, copy_name)
    same((copied.name, int(copied.version), copied.run_id), (copy_name, 1, run_ids[0]), "copied version")
    same((copied.description, copied.tags), ("Number 1.", {"checked": "yes"}), "description and tags of the copy")
    np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{copy_name}/1").predict(rows), predictions[0])
    client.delete_registered_model(copy_name)
    ok("copy", "copy_model_version keeps run, description and tags, and the copy loads")

if HAS_REGISTRIES:
    [registry] = make_registries("shared")
    shared, base = f"{registry}.life", f"{SERVER}/registries/{registry}"
    source = f"models:/{name}/1"
    promoted = client.copy_model_version(source, shared) if HAS_COPY else mlflow.register_model(source, shared)
    same((promoted.name, int(promoted.version), promoted.status), (shared, 1, "READY"), "promoted version")
    mlflow.register_model(f"runs:/{run_ids[1]}/model", shared)
    for tracking_uri, registry_uri, model in ((SERVER, SERVER, shared), (SERVER, base, "life"), (base, base, "life")):
        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(registry_uri)
        reader = MlflowClient()
        same([reader.get_model_version(model, number).run_id for number in ("1", "2")], run_ids, "runs of the shared versions")
        same({found.version for found in reader.search_model_versions(f"name = '{model}'")}, {"1", "2"}, "shared versions found")
        same([found.name for found in reader.search_registered_models(f"name = '{model}'")], [model], "shared models found")
        reader.transition_model_version_stage(model, "2", "Staging")
        expected = {"/1": predictions[0], "/latest": predictions[1], "/Staging": predictions[1]}
        if HAS_ALIASES:
            reader.set_registered_model_alias(model, "champion", "1")
            expected["@champion"] = predictions[0]
        for which, values in expected.items():
            np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{model}{which}").predict(rows), values)
    mlflow.set_tracking_uri(SERVER)
    mlflow.set_registry_uri(SERVER)
    ok("share", "promoted into a registry, and used from there by dotted name, by registry URI and by tracking URI")

renamed = unique("renamed")
client.rename_registered_model(name, renamed)
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, name)
np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{renamed}/2").predict(rows), predictions[1])
same(client.get_model_version(renamed, "1").tags, {"checked": "yes"}, "tags under the new name")
same(client.search_model_versions(f"name = '{name}'"), [], "versions under the old name")
ok("rename", "versions and tags go with the new name, the old one is free")

client.delete_model_version(renamed, "2")
refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, renamed, "2")
np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{renamed}/latest").predict(rows), predictions[0])
client.delete_registered_model(renamed)
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, renamed)
client.delete_run(run_ids[0])
same(client.get_run(run_ids[0]).info.lifecycle_stage, "deleted", "lifecycle stage of a deleted run")
client.restore_run(run_ids[0])
same(client.get_run(run_ids[0]).info.lifecycle_stage, "active", "lifecycle stage of a restored run")
client.delete_experiment(experiment_id)
same(client.get_experiment(experiment_id).lifecycle_stage, "deleted", "lifecycle stage of the experiment")
ok("delete", "a version, the model, a run (and back) and the experiment")
