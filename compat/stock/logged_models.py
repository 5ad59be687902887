"""Logged models, MLflow 3's record of a model before it is registered: params, metrics, tags, search, states."""

from common import PIP_REQUIREMENTS, ok, refused, same, unique

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelStatus
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
experiment_id = mlflow.set_experiment(unique("logged-models")).experiment_id
X, y = load_wine(return_X_y=True, as_frame=True)
dataset = mlflow.data.from_pandas(X.assign(label=y), name="wine", targets="label")

model_ids = {}
for C, accuracy in ((0.1, 0.8), (1.0, 0.9)):
    with mlflow.start_run(run_name=f"C={C}") as run:
        mlflow.log_metric("before", 0.1)  # log_model makes it the model's too
        info = mlflow.sklearn.log_model(
            LogisticRegression(C=C, max_iter=5000).fit(X, y),
            name=f"wine-{C}".replace(".", "-"),
            params={"C": C, "kind": "linear"},
            tags={"stage": "try"},
            model_type="classifier",
            pip_requirements=PIP_REQUIREMENTS,
        )
        mlflow.log_metric("accuracy", accuracy / 2, step=1, model_id=info.model_id, dataset=dataset)
        mlflow.log_metric("accuracy", accuracy, step=2, model_id=info.model_id, dataset=dataset)
    model_ids[C] = info.model_id

model = mlflow.get_logged_model(model_ids[1.0])
same((model.name, model.model_type, model.status), ("wine-1-0", "classifier", LoggedModelStatus.READY), "name, type and status")
same((model.experiment_id, model.source_run_id), (experiment_id, run.info.run_id), "experiment and run")
same(model.params, {"C": "1.0", "kind": "linear"}, "params")
same(model.tags["stage"], "try", "tag")
same(model.model_uri, f"models:/{model_ids[1.0]}", "URI")
ok("L1", "log_model makes a logged model with params, tags, type and run")

latest = {(metric.key, metric.step): metric for metric in model.metrics}
same((latest["accuracy", 2].value, latest["accuracy", 2].dataset_name), (0.9, "wine"), "metric of the model")
same({metric.key for metric in model.metrics}, {"before", "accuracy"}, "metrics of the model")
read = client.get_run(run.info.run_id)
same(read.data.metrics, {"before": 0.1, "accuracy": 0.9}, "metrics of the run")
same([(output.model_id, output.step) for output in read.outputs.model_outputs], [(model_ids[1.0], 0)], "outputs of the run")
ok("L2", "log_metric(model_id=) belongs to the run and to the logged model")

with mlflow.start_run(run_name="evaluate") as evaluation:
    mlflow.log_input(dataset, context="evaluation", model=LoggedModelInput(model.model_id))
    mlflow.log_metrics({"precision": 0.7, "recall": 0.6}, model_id=model_ids[1.0], dataset=dataset)
inputs = client.get_run(evaluation.info.run_id).inputs
same([given.model_id for given in inputs.model_inputs], [model_ids[1.0]], "model inputs of the evaluating run")
metrics = {metric.key: metric.run_id for metric in mlflow.get_logged_model(model_ids[1.0]).metrics}
same((metrics["precision"], metrics["accuracy"]), (evaluation.info.run_id, run.info.run_id), "runs the metrics came from")
ok("L2 A17", "another run evaluates the model: its input, and metrics on the model")


def found(filter_string=None, **kwargs):
    return [model.model_id for model in client.search_logged_models([experiment_id], filter_string, **kwargs)]


small, large = model_ids[0.1], model_ids[1.0]
same(found(), [large, small], "newest first")
for filter_string, expected in {
    "name = 'wine-0-1'": [small],
    "name LIKE 'wine-%' AND params.C = '1.0'": [large],
    "tags.stage = 'try'": [large, small],
    "metrics.accuracy > 0.85": [large],
    "metrics.accuracy > 0.95": [],
    "model_type = 'classifier' AND params.kind = 'linear' AND metrics.accuracy < 0.42": [small],
    f"source_run_id = '{run.info.run_id}'": [large],
    "creation_timestamp > 0": [large, small],
}.items():
    same(found(filter_string), expected, filter_string)
wine = {"dataset_name": "wine", "dataset_digest": dataset.digest}
same(found("metrics.accuracy > 0.85", datasets=[wine]), [large], "metric on a data set")
same(found("metrics.accuracy > 0.85", datasets=[{**wine, "dataset_name": "other"}]), [], "metric on another data set")
same(found(order_by=[{"field_name": "metrics.accuracy", "ascending": True}]), [small, large], "order by a metric")
same(found(order_by=[{"field_name": "creation_timestamp", "ascending": True}]), [small, large], "order by creation")
page = client.search_logged_models([experiment_id], max_results=1)
rest = client.search_logged_models([experiment_id], max_results=1, page_token=page.token)
same([model.model_id for model in [*page, *rest]], [large, small], "two pages")
table = mlflow.search_logged_models([experiment_id], "params.C = '1.0'")
assert isinstance(table, pd.DataFrame) and list(table["model_id"]) == [large], "search_logged_models as a table"
ok("L3", "search_logged_models filters, orders and pages")

mlflow.set_logged_model_tags(small, {"stage": "kept", "reviewer": "ada"})
mlflow.delete_logged_model_tag(small, "reviewer")
tags = mlflow.get_logged_model(small).tags
same((tags["stage"], "reviewer" in tags), ("kept", False), "tags after set and delete")
ok("L4", "set_logged_model_tags and delete_logged_model_tag")

external = mlflow.create_external_model(name="elsewhere", params={"served_by": "others"})
same((external.status, external.params), (LoggedModelStatus.READY, {"served_by": "others"}), "external model")
pending = mlflow.initialize_logged_model(name="slow", params={f"p{number}": "x" for number in range(150)})
same((pending.status, len(pending.params)), (LoggedModelStatus.PENDING, 150), "initialized model")
same(mlflow.finalize_logged_model(pending.model_id, LoggedModelStatus.FAILED).status, LoggedModelStatus.FAILED, "finalized model")
same(mlflow.get_logged_model(pending.model_id).status, LoggedModelStatus.FAILED, "status read back")
ok("L5", "initialize with more params than one request takes, finalize as failed, external models")

assert {file.path for file in client.list_logged_model_artifacts(large)} >= {"MLmodel", "requirements.txt"}, "files of a logged model"
client.delete_logged_model(small)
refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_logged_model, small)
assert small not in found(), "a deleted model is not found"
refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_logged_model, "m-" + "0" * 32)
ok("L6", "list the files of a logged model, delete one")
