"""Descriptions and tags on models and versions, and the way from a version back to its run."""

from common import PIP_REQUIREMENTS, ok, refused, same, unique

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
name = unique("iris")
experiment_name = unique("annotations-and-lineage")
experiment_id = mlflow.set_experiment(experiment_name).experiment_id
description = "# Iris\n\nKnows *three* kinds: `setosa`, … and äöü 漢字 🌸"

made = client.create_registered_model(name, tags={"team": "botany", "empty": ""}, description=description)
same((made.description, made.tags), (description, {"team": "botany", "empty": ""}), "description and tags at creation")
client.update_registered_model(name, description="Shorter.")
client.set_registered_model_tag(name, "team", "flowers")
client.set_registered_model_tag(name, "task/kind", "classification")
client.delete_registered_model_tag(name, "empty")
model = client.get_registered_model(name)
same(model.description, "Shorter.", "description after update")
same(model.tags, {"team": "flowers", "task/kind": "classification"}, "tags after set and delete")
assert model.last_updated_timestamp >= model.creation_timestamp > 1_500_000_000_000, "timestamps are in milliseconds"
ok("D11", "description and tags of a registered model")

X, y = load_iris(return_X_y=True, as_frame=True)
with mlflow.start_run(run_name="growing") as run:
    mlflow.log_param("C", 0.5)
    model = LogisticRegression(C=0.5, max_iter=1000).fit(X, y)
    info = mlflow.sklearn.log_model(model, name="model", pip_requirements=PIP_REQUIREMENTS)
run_id = run.info.run_id

version = mlflow.register_model(info.model_uri, name, tags={"validation": "pending"})
same(version.tags, {"validation": "pending"}, "tags given to register_model")
client.update_model_version(name, version.version, description=description)
client.set_model_version_tag(name, version.version, "validation", "passed")
client.set_model_version_tag(name, version.version, key="reviewer", value="ada")
client.delete_model_version_tag(name, version.version, "reviewer")
read = client.get_model_version(name, version.version)
same((read.description, read.tags), (description, {"validation": "passed"}), "description and tags of the version")
ok("D11", "description and tags of a model version")

refused("RESOURCE_DOES_NOT_EXIST", client.set_registered_model_tag, unique("nothing"), "a", "b")
refused("RESOURCE_DOES_NOT_EXIST", client.set_model_version_tag, name, "99", "a", "b")
refused("RESOURCE_DOES_NOT_EXIST", client.update_model_version, name, "99", "text")
refused("INVALID_PARAMETER_VALUE", client.create_registered_model, "a/b")
ok("D11", "annotations of what does not exist are refused")

source_run = client.get_run(read.run_id)
same(source_run.info.run_id, run_id, "run of the version")
same(source_run.data.params, {"C": "0.5"}, "params of that run")
same(client.get_experiment(source_run.info.experiment_id).name, experiment_name, "experiment of that run")
same([output.model_id for output in source_run.outputs.model_outputs], [info.model_id], "model outputs of that run")
same([found.version for found in client.search_model_versions(f"run_id='{run_id}'")], [version.version], "versions of the run")
ok("D12", "a version leads to its run, params and experiment, and the run back to the version")

run_link = f"https://elsewhere.example/runs/{run_id}"
linked = client.create_model_version(
    name, info.model_uri, run_id=run_id, run_link=run_link, description="By hand.", model_id=info.model_id
)
read = client.get_model_version(name, linked.version)
same((read.run_id, read.run_link, read.description), (run_id, run_link, "By hand."), "run id, link and description")
same(read.source, info.model_uri, "source")
ok("D12", "run_link is kept as given")
