"""Workspaces: the same names in two of them, each with its own runs, models and files. The server needs --enable-workspaces if it is the stock one."""

import os

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import PIP_REQUIREMENTS, OtherProcess, ok, refused, same, unique

import mlflow
from mlflow import MlflowClient
from mlflow.entities.workspace import WorkspaceDeletionMode
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor

client = MlflowClient()
X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:2]
red, blue = unique("red"), unique("blue")
name = unique("constant")
values = {red: 1.0, blue: 2.0}


def enter(workspace):
    """What a shell does that sets MLFLOW_WORKSPACE; None is one that names none."""
    if workspace is None:
        mlflow.set_workspace(None)
        os.environ.pop("MLFLOW_WORKSPACE", None)
    else:
        mlflow.set_workspace(workspace)


made = client.create_workspace(red, description="one of two")
same((made.name, made.description), (red, "one of two"), "workspace")
client.create_workspace(blue)
listed = [workspace.name for workspace in client.list_workspaces()]
same([n for n in listed if n in (red, blue, "default")], sorted([red, blue, "default"]), "workspaces")
same(client.update_workspace(blue, description="the other").description, "the other", "new description")
same(client.get_workspace(blue).description, "the other", "description")
assert "already exists" in refused("RESOURCE_ALREADY_EXISTS", client.create_workspace, red)
ok("W1", "workspaces are made, listed, changed, and not made twice")

infos = {}
for workspace, value in values.items():
    enter(workspace)
    experiment = mlflow.set_experiment(name)
    same((experiment.workspace, experiment.artifact_location.split("/")[1:3]), (workspace, ["workspaces", workspace]), "experiment")
    with mlflow.start_run() as run:
        mlflow.log_param("value", value)
        mlflow.log_text(workspace, "notes/workspace.txt")
        info = mlflow.sklearn.log_model(
            DummyRegressor(strategy="constant", constant=value).fit(X, y),
            name="model",
            registered_model_name=name,
            pip_requirements=PIP_REQUIREMENTS,
        )
    client.set_registered_model_alias(name, "champion", "1")
    infos[workspace] = (run.info.run_id, info.model_id, experiment.experiment_id)
ok("W2", "the same experiment, model, version and alias are made in two workspaces")

for workspace, value in values.items():
    enter(workspace)
    run_id, model_id, experiment_id = infos[workspace]
    for uri in (f"models:/{name}/1", f"models:/{name}@champion", f"models:/{model_id}"):
        same(list(mlflow.pyfunc.load_model(uri).predict(rows)), [value, value], f"prediction of {uri} in {workspace}")
    same(mlflow.artifacts.load_text(f"runs:/{run_id}/notes/workspace.txt"), workspace, "artifact of the run")
    same([artifact.path for artifact in client.list_artifacts(run_id, "notes")], ["notes/workspace.txt"], "listed artifacts")
    same([run.info.run_id for run in client.search_runs([experiment_id])], [run_id], "runs found")
    same([model.name for model in client.search_registered_models(f"name = '{name}'")], [name], "models found")
    same(len(client.search_model_versions(f"name = '{name}'")), 1, "versions found")
    with OtherProcess() as other:
        same(other.predict(f"models:/{name}@champion", rows), [value, value], "prediction in another process")
ok("W3", "each is loaded in its workspace, also by a process that has MLFLOW_WORKSPACE set")

run_id, model_id, experiment_id = infos[red]
for stranger in (blue, None):
    enter(stranger)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, run_id)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, experiment_id)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_logged_model, model_id)
    refused("RESOURCE_DOES_NOT_EXIST", client.log_metric, run_id, "m", 1.0)
    refused("RESOURCE_DOES_NOT_EXIST", client.list_artifacts, run_id)
    same(client.search_runs([experiment_id]), [], "runs found by a stranger")
refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, name)
ok("W4", "a run, experiment, logged model and registered model is unknown in other workspaces")

enter(unique("nowhere"))
assert "not found" in refused("RESOURCE_DOES_NOT_EXIST", client.search_registered_models)
enter("default")
default_experiment = client.get_experiment(client.create_experiment(name))
same(default_experiment.workspace, "default", "workspace of an experiment in default")
enter(None)
same(client.get_experiment_by_name(name).experiment_id, default_experiment.experiment_id, "experiment of default, without a name")
client.rename_experiment(default_experiment.experiment_id, unique("renamed"))
ok("W5", "an unknown workspace is refused; default is where one is who names none")

try:
    client.delete_workspace(red)
    raise AssertionError("a workspace that is not empty must not be deleted")
except mlflow.MlflowException:  # the stock server says so with a 500, of which the client tells only that it is one
    client.get_workspace(red)
client.delete_workspace(red, mode=WorkspaceDeletionMode.SET_DEFAULT)
same(client.get_run(run_id).data.params, {"value": "1.0"}, "run that came to default")
same(client.get_model_version_by_alias(name, "champion").version, "1", "version that came to default")
client.delete_workspace(blue, mode=WorkspaceDeletionMode.CASCADE)
refused("RESOURCE_DOES_NOT_EXIST", client.get_run, infos[blue][0])
assert not {red, blue} & {workspace.name for workspace in client.list_workspaces()}
ok("W6", "a workspace is deleted with what is in it, or after that was moved to default")

enter(blue)
refused("RESOURCE_DOES_NOT_EXIST", client.search_registered_models)
enter(None)
