"""
What this server promises beyond the stock one. Each statement fails on `mlflow server`; the last is a race, which the
stock server loses almost always when the machine is idle, and may win when it is busy.
"""

import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

from common import PIP_REQUIREMENTS, ok, same, unique

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor

client = MlflowClient()
mlflow.set_experiment(unique("better-than-stock"))
X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:2]


def constant(value):
    return DummyRegressor(strategy="constant", constant=value).fit(X, y)


def search_results_of_versions_carry_their_aliases():  # mlflow/mlflow#9783, #16734
    name = unique("aliased")
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, "s3://bucket/model")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "best", "2")
    found = {version.version: sorted(version.aliases) for version in client.search_model_versions(f"name='{name}'")}
    same(found, {"1": [], "2": ["best", "champion"]}, "aliases of the versions found")
    ok("E5", "search_model_versions rows carry their aliases")


def latest_versions_carry_their_aliases():
    name = unique("aliased")
    client.create_registered_model(name)
    client.create_model_version(name, "s3://bucket/model")
    client.set_registered_model_alias(name, "champion", "1")
    [latest] = client.get_registered_model(name).latest_versions
    same(latest.aliases, ["champion"], "aliases of the latest version of get_registered_model")
    [model] = client.search_registered_models(f"name='{name}'")
    same(model.latest_versions[0].aliases, ["champion"], "aliases of the latest version of search_registered_models")
    ok("E5", "latest_versions carry their aliases")


def overwriting_the_source_does_not_change_a_version():
    name = unique("frozen")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(constant(1.0), name="model", registered_model_name=name, pip_requirements=PIP_REQUIREMENTS)
    other = mlflow.sklearn.log_model(constant(2.0), name="other", pip_requirements=PIP_REQUIREMENTS)
    files = mlflow.artifacts.download_artifacts(other.model_uri)
    get_artifact_repository(client.get_logged_model(info.model_id).artifact_location).log_artifacts(files)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(rows), 1.0)
    ok("F6", f"overwriting the files of a logged model leaves its version as registered (run {run.info.run_id[:8]})")


def deleting_the_source_does_not_break_a_version():
    name = unique("frozen")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(constant(1.0), name="model", registered_model_name=name, pip_requirements=PIP_REQUIREMENTS)
        files = mlflow.artifacts.download_artifacts(info.model_uri)
        mlflow.log_artifacts(files, "classic")
    mlflow.register_model(f"runs:/{run.info.run_id}/classic", name)
    get_artifact_repository(client.get_logged_model(info.model_id).artifact_location).delete_artifacts("")
    get_artifact_repository(run.info.artifact_uri).delete_artifacts("classic")
    same(client.list_artifacts(run.info.run_id, "classic"), [], "files of the run")
    for version in (1, 2):
        np.testing.assert_allclose(mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict(rows), 1.0)
    ok("F6", "deleting the files of a run or logged model leaves the versions made from them")


def many_may_set_a_new_alias_at_once():
    name = unique("raced")
    client.create_registered_model(name)
    versions = [client.create_model_version(name, "s3://bucket/model").version for _ in range(16)]
    with ThreadPoolExecutor(len(versions)) as pool:
        for alias in (f"alias-{number}" for number in range(10)):
            list(pool.map(lambda version: client.set_registered_model_alias(name, alias, version), versions))
    same(len(client.get_registered_model(name).aliases), 10, "number of aliases")
    ok("E6", "sixteen threads set an alias that is not there yet, none gets an error")


failed = 0
for promise in (
    search_results_of_versions_carry_their_aliases,
    latest_versions_carry_their_aliases,
    overwriting_the_source_does_not_change_a_version,
    deleting_the_source_does_not_break_a_version,
    many_may_set_a_new_alias_at_once,
):
    try:
        promise()
    except Exception:
        failed += 1
        print(f"not ok {promise.__name__}", flush=True)
        traceback.print_exc()
sys.exit(failed)
