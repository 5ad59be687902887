"""
The classic life of a model, in words that MLflow 1.30, 2.22 and 3.17 all know: train, log, register, stage or alias,
load, predict, roll back. The clients send different calls for it: 1.30 asks for the registry under /preview/mlflow,
2.x logs a model into its run, 3.x into a logged model.
"""

import warnings

from common import ok, same, unique

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
from mlflow.models.signature import infer_signature
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, Ridge

warnings.simplefilter("ignore")  # this script uses deprecated words on purpose

HAS_ALIASES = hasattr(MlflowClient, "set_registered_model_alias")  # since 2.3
VERSION = mlflow.__version__

client = MlflowClient()
name = unique("classic")
experiment_name = unique("classic")
mlflow.set_experiment(experiment_name)
experiment_id = client.get_experiment_by_name(experiment_name).experiment_id

X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:4]
models = [Ridge(alpha=0.1).fit(X, y), Lasso(alpha=0.5).fit(X, y)]
signature = infer_signature(X, models[0].predict(X))

run_ids = []
for number, model in enumerate(models, start=1):
    with mlflow.start_run(run_name=f"train-{number}") as run:
        mlflow.log_param("alpha", model.alpha)
        for step in range(3):
            mlflow.log_metric("loss", 1.0 / (step + number), step=step)
        mlflow.set_tag("number", number)
        if number == 1:
            mlflow.sklearn.log_model(model, "model", signature=signature, input_example=rows, registered_model_name=name)
        else:
            mlflow.sklearn.log_model(model, "model", signature=signature)
    run_ids.append(run.info.run_id)
version = mlflow.register_model(f"runs:/{run_ids[1]}/model", name)
same((int(version.version), version.run_id), (2, run_ids[1]), "version registered from a run")
ok("D2 D3", f"{VERSION} logs and registers")

read = client.get_run(run_ids[1])
same(read.data.params, {"alpha": "0.5"}, "params")
same(read.data.tags["number"], "2", "tag")
same([metric.value for metric in client.get_metric_history(run_ids[1], "loss")], [0.5, 1 / 3, 0.25], "history")
found = client.search_runs([experiment_id], "params.alpha = '0.5' and metrics.loss < 0.3")
same([run.info.run_id for run in found], [run_ids[1]], "search_runs")
same([experiment.name for experiment in client.search_experiments(filter_string=f"name = '{experiment_name}'")], [experiment_name], "search_experiments")
ok("R1", f"{VERSION} reads runs and experiments")

first, second = (model.predict(rows) for model in models)
for number, expected in ((1, first), (2, second)):
    loaded = mlflow.pyfunc.load_model(f"models:/{name}/{number}")
    np.testing.assert_allclose(loaded.predict(rows), expected)
    same(loaded.metadata.signature, signature, f"signature of version {number}")
np.testing.assert_allclose(mlflow.sklearn.load_model(f"models:/{name}/latest").predict(rows), second)
ok("E3 E4", f"{VERSION} loads by version and latest, with the signature")


def use(number, archive=False):
    """Says which version is in use, in the way this client knows."""
    if HAS_ALIASES:
        client.set_registered_model_alias(name, "champion", str(number))
    else:
        client.transition_model_version_stage(name, number, "Production", archive_existing_versions=archive)


in_use = f"models:/{name}@champion" if HAS_ALIASES else f"models:/{name}/Production"
for number, expected in ((1, first), (2, second), (1, first)):
    use(number, archive=True)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(in_use).predict(rows), expected, err_msg=f"{in_use} on version {number}")
same(len(client.search_model_versions(f"name='{name}'")), 2, "number of versions after the roll back")
ok("E6 E8" if HAS_ALIASES else "D6 E8", f"{VERSION} releases a version, then the next, and rolls back ({in_use.split(name)[1]})")

client.transition_model_version_stage(name, 2, "Staging")
same([found.version for found in client.get_latest_versions(name, ["Staging"])], ["2"], "get_latest_versions")
ok("D5", f"{VERSION} asks for the latest version of a stage")

client.update_registered_model(name, description="The *classic*.")
client.set_registered_model_tag(name, "team", "a")
client.update_model_version(name, "1", description="The first.")
client.set_model_version_tag(name, "1", "checked", "yes")
model, version = client.get_registered_model(name), client.get_model_version(name, "1")
same((model.description, model.tags, version.description, version.tags), ("The *classic*.", {"team": "a"}, "The first.", {"checked": "yes"}), "annotations")
same([model.name for model in client.search_registered_models(f"name = '{name}'")], [name], "search_registered_models")
ok("D11", f"{VERSION} describes, tags and finds the model")

client.delete_model_version(name, "2")
client.delete_registered_model(name)
same(len(client.search_model_versions(f"name='{name}'")), 0, "versions of a deleted model")
ok("D1", f"{VERSION} deletes a version and the model")
