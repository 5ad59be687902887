"""Aliases: point to a version, move to the newest by script, roll back, and what is refused."""

from common import OtherProcess, PIP_REQUIREMENTS, ok, refused, same, unique

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge

client = MlflowClient()
name = unique("bikes")
mlflow.set_experiment(unique("aliases-and-rollback"))
other_process = OtherProcess()

X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:3]
models = [Ridge(alpha=0.1).fit(X, y), DummyRegressor().fit(X, y)]

same(client.create_registered_model(name).name, name, "create_registered_model")
ok("E1", "create_registered_model works at once")

for model in models:
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", registered_model_name=name, pip_requirements=PIP_REQUIREMENTS)
first, second = (model.predict(rows) for model in models)

client.set_registered_model_alias(name, "Champion", 1)
champion = f"models:/{name}@Champion"
np.testing.assert_allclose(mlflow.pyfunc.load_model(champion).predict(rows), first)
same(client.get_model_version_by_alias(name, "Champion").version, "1", "version under the alias")
same(client.get_model_version(name, "1").aliases, ["Champion"], "aliases of version 1")
same(client.get_registered_model(name).aliases, {"Champion": "1"}, "aliases of the registered model")
ok("E6", "set_registered_model_alias, and models:/name@Champion loads that version")

[newest] = client.search_model_versions(f"name='{name}'", max_results=1, order_by=["version_number DESC"])
same(int(newest.version), 2, "newest version")
client.set_registered_model_alias(name, "Champion", newest.version)
same(client.get_model_version(name, "1").aliases, [], "aliases of the version that lost it")
ok("E5 E7", "the alias goes to the newest version, found by search_model_versions(max_results=1, order_by=version_number DESC)")

with other_process:
    np.testing.assert_allclose(other_process.predict(champion, rows), second)
    client.set_registered_model_alias(name, "Champion", "1")
    np.testing.assert_allclose(other_process.predict(champion, rows), first)
    np.testing.assert_allclose(other_process.predict(f"models:/{name}/latest", rows), second)
versions = {(version.version, version.current_stage) for version in client.search_model_versions(f"name='{name}'")}
same(versions, {("1", "None"), ("2", "None")}, "versions after the roll back")
ok("E8", "roll back: the alias moves to the older version, the next load in another process gets it, no version made or lost")

client.set_registered_model_alias(name, "canary_2-b", "2")
client.set_registered_model_alias(name, "Canary", "2")
same(sorted(client.get_model_version(name, "2").aliases), ["Canary", "canary_2-b"], "two aliases of one version")
client.delete_registered_model_alias(name, "Canary")
client.delete_registered_model_alias(name, "Canary")
same(client.get_registered_model(name).aliases, {"Champion": "1", "canary_2-b": "2"}, "aliases after a delete")
ok("E6", "a version has several aliases; deleting one twice is fine")

for reserved in ("latest", "Latest", "v1", "V12"):
    assert "reserved" in refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, name, reserved, "1")
refused("INVALID_PARAMETER_VALUE", client.set_registered_model_alias, name, "no spaces", "1")
refused("RESOURCE_DOES_NOT_EXIST", client.set_registered_model_alias, name, "Champion", "99")
ok("E6", "reserved and ill-formed alias names and unknown versions are refused")

message = refused("INVALID_PARAMETER_VALUE", mlflow.pyfunc.load_model, f"models:/{name}@nobody")
assert "nobody" in message and "not found" in message, f"the message must name the alias, it says: {message}"
refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, name, "Canary")
refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version_by_alias, unique("nothing"), "Champion")
ok("T9", "an unknown alias is INVALID_PARAMETER_VALUE")

client.delete_model_version(name, "1")
same(client.get_registered_model(name).aliases, {"canary_2-b": "2"}, "aliases after deleting version 1")
refused("INVALID_PARAMETER_VALUE", mlflow.pyfunc.load_model, champion)
ok("E6", "deleting a version takes its aliases with it")
