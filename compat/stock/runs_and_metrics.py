"""Runs: params, metrics with their history, tags, data sets, nesting, autologging, and searching for all of it."""

import math
import time

from common import ok, refused, same, unique

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

client = MlflowClient()
experiment_id = mlflow.set_experiment(unique("runs-and-metrics")).experiment_id

with mlflow.start_run(run_name="first", tags={"colour": "red"}, description="A *first* run.") as run:
    mlflow.log_param("alpha", 0.5)
    mlflow.log_params({"layers": [1, 2], "long": "x" * 500, "schlüssel": "wért 漢字"})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"accuracy": 0.9, "f1/macro": 0.8}, step=3)
    mlflow.set_tags({"colour": "blue", "size": 3})
first = run.info.run_id
read = client.get_run(first)
same(read.data.params, {"alpha": "0.5", "layers": "[1, 2]", "long": "x" * 500, "schlüssel": "wért 漢字"}, "params")
same(read.data.metrics, {"loss": 0.2, "accuracy": 0.9, "f1/macro": 0.8}, "latest metrics")
same({key: read.data.tags[key] for key in ("colour", "size", "mlflow.runName")}, {"colour": "blue", "size": "3", "mlflow.runName": "first"}, "tags")
same(read.data.tags["mlflow.note.content"], "A *first* run.", "description")
same((read.info.run_name, read.info.status, read.info.lifecycle_stage), ("first", "FINISHED", "active"), "run info")
assert read.info.end_time >= read.info.start_time > 1_500_000_000_000, "times are in milliseconds"
ok("R1", "params, metrics, tags and status of a run")

history = client.get_metric_history(first, "loss")
same([(metric.step, metric.value) for metric in history], [(step, 1 / (step + 1)) for step in range(5)], "history of loss")
same(client.get_metric_history(first, "unknown"), [], "history of an unknown metric")
ok("R2", "get_metric_history has every step")

second = client.create_run(experiment_id, run_name="second", tags={"colour": "green"}).info.run_id
now = int(time.time() * 1000)
metrics = [Metric("loss", step / 10, now + step, step) for step in range(1000)]
client.log_batch(second, metrics, [Param(f"p{i}", str(i)) for i in range(100)], [RunTag(f"t{i}", str(i)) for i in range(100)])
client.log_batch(second, [Metric(key, value, now, -1) for key, value in (("nan", math.nan), ("inf", math.inf), ("-inf", -math.inf))])
read = client.get_run(second)
same((len(read.data.params), read.data.params["p99"], read.data.tags["t99"]), (100, "99", "99"), "batch of params and tags")
same(read.data.metrics["loss"], 99.9, "the metric of the highest step")
assert math.isnan(read.data.metrics["nan"]), f"nan came back as {read.data.metrics['nan']}"
assert read.data.metrics["inf"] > 1e308 and read.data.metrics["-inf"] < -1e308, "infinities stay greater than any number"
same(len(client.get_metric_history(second, "loss")), 1000, "history of a batch")
client.set_terminated(second, "FAILED")
same(client.get_run(second).info.status, "FAILED", "status")
ok("R3", "log_batch takes 1000 metrics, 100 params, 100 tags, NaN and infinities")

refused("INVALID_PARAMETER_VALUE", client.log_param, first, "alpha", "0.6")
client.log_param(first, "alpha", "0.5")
refused("INVALID_PARAMETER_VALUE", client.log_metric, first, "bad%name", 1)
refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)
client.delete_tag(first, "size")
refused("RESOURCE_DOES_NOT_EXIST", client.delete_tag, first, "size")
client.update_run(first, status="KILLED", name="renamed")
read = client.get_run(first)
same((read.info.run_name, read.info.status, read.data.tags["mlflow.runName"]), ("renamed", "KILLED", "renamed"), "update_run")
ok("R4", "params do not change, unknown runs and bad names are refused, runs are renamed")

frame = pd.DataFrame({"x": [1.0, 2.0], "label": ["a", "b"]})
dataset = mlflow.data.from_pandas(frame, source="https://data.example/points.csv", name="points", targets="label")
with mlflow.start_run(run_name="parent") as parent:
    mlflow.log_input(dataset, context="training", tags={"split": "small"})
    mlflow.log_metric("score", 0.5, dataset=dataset)
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("score", 0.7)
[logged] = client.get_run(parent.info.run_id).inputs.dataset_inputs
same((logged.dataset.name, logged.dataset.digest), ("points", dataset.digest), "data set")
same({tag.key: tag.value for tag in logged.tags}, {"mlflow.data.context": "training", "split": "small"}, "tags of the input")
same(mlflow.data.get_source(logged.dataset).url, "https://data.example/points.csv", "source of the data set")
same(client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"], parent.info.run_id, "parent of the nested run")
same(client.get_parent_run(child.info.run_id).info.run_id, parent.info.run_id, "get_parent_run")
ok("R5 A17", "data sets as inputs, nested runs")


def found(filter_string="", **kwargs):
    return [run.info.run_name for run in client.search_runs([experiment_id], filter_string, **kwargs)]


same(found(), ["child", "parent", "second", "renamed"], "newest first")
for filter_string, expected in {
    "metrics.score > 0.6": ["child"],
    "metrics.`f1/macro` >= 0.8 and params.alpha = '0.5'": ["renamed"],
    "params.p7 = '7'": ["second"],
    "params.alpha != '0.6'": ["renamed"],
    "params.`schlüssel` LIKE 'wért%'": ["renamed"],
    "tags.colour = 'green'": ["second"],
    "tags.colour ILIKE '%E%'": ["second", "renamed"],
    "tags.mlflow.parentRunId = '%s'" % parent.info.run_id: ["child"],
    "attributes.status = 'FAILED'": ["second"],
    "attributes.run_name LIKE 'ch%'": ["child"],
    "run_id IN ('%s', '%s')" % (first, second): ["second", "renamed"],
    "attributes.start_time > 0 and status != 'FINISHED'": ["second", "renamed"],
    "attributes.end_time < 1": [],
    "datasets.name = 'points'": ["parent"],
    "datasets.digest IN ('%s')" % dataset.digest: ["parent"],
    "datasets.context = 'training' and metrics.score < 1": ["parent"],
    "datasets.name = 'other'": [],
    "params.alpha IS NULL and tags.colour IS NOT NULL": ["second"],
}.items():
    same(found(filter_string), expected, filter_string)
ok("R6", "search_runs by metrics, params, tags, attributes and data sets")

same(found("metrics.score > 0", order_by=["metrics.score DESC"]), ["child", "parent"], "order by a metric")
same(found(order_by=["attributes.run_name ASC"]), ["child", "parent", "renamed", "second"], "order by an attribute")
same(found(order_by=["params.alpha ASC", "start_time DESC"])[0], "renamed", "order by a param; runs without it come last")
same(found(order_by=["tags.colour DESC"])[:2], ["second", "renamed"], "order by a tag")
for bad in ("metrics.score = 'x'", "colour = 'red'", "params.alpha = 0.5", "metrics.score > 1 OR metrics.score < 0"):
    refused("INVALID_PARAMETER_VALUE", client.search_runs, [experiment_id], bad)
page = client.search_runs([experiment_id], max_results=3, order_by=["attributes.run_name ASC"])
rest = client.search_runs([experiment_id], max_results=3, order_by=["attributes.run_name ASC"], page_token=page.token)
same([run.info.run_name for run in [*page, *rest]], ["child", "parent", "renamed", "second"], "two pages")
assert not rest.token, "the last page has no token"
table = mlflow.search_runs([experiment_id], "metrics.score > 0", order_by=["metrics.score DESC"])
same(list(table["metrics.score"]), [0.7, 0.5], "search_runs as a table")
ok("R6", "search_runs orders and pages, and refuses what it cannot read")

client.delete_run(second)
same(client.get_run(second).info.lifecycle_stage, "deleted", "lifecycle stage")
same(found(), ["child", "parent", "renamed"], "active runs")
same(found(run_view_type=ViewType.DELETED_ONLY), ["second"], "deleted runs")
refused("INVALID_PARAMETER_VALUE", client.log_metric, second, "loss", 1)
client.restore_run(second)
same(len(found(run_view_type=ViewType.ALL)), 4, "all runs")
client.log_metric(second, "loss", 1)
ok("R7", "delete and restore a run")

mlflow.sklearn.autolog(max_tuning_runs=2, log_post_training_metrics=True, log_datasets=True)
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
with mlflow.start_run(run_name="autologged") as run:
    GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(X, y)
mlflow.sklearn.autolog(disable=True)
read = client.get_run(run.info.run_id)
same(read.data.tags["estimator_name"], "GridSearchCV", "estimator_name")
assert read.data.params["best_logisticregression__C"] in ("0.1", "1.0"), f"params are {read.data.params}"
assert read.data.metrics["training_score"] > 0.9, f"metrics are {read.data.metrics}"
same(len(read.inputs.dataset_inputs), 1, "data sets logged")
same(len(read.outputs.model_outputs), 2, "models logged: the search and its best estimator")
same(len(found(f"tags.mlflow.parentRunId = '{run.info.run_id}'")), 2, "nested runs, one for each candidate")
artifacts = {file.path for file in client.list_artifacts(run.info.run_id)}
assert {"cv_results.csv", "training_confusion_matrix.png"} <= artifacts, f"artifacts are {artifacts}"
ok("R8", "sklearn.autolog of a grid search: params, metrics, data set, models, nested runs, figures")
