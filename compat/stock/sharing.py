"""Models shared across workspaces: registered in dev, promoted into a registry by the stock calls, loaded from prod and test by three processes."""

import json
import os
import subprocess
import sys
import time

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import PIP_REQUIREMENTS, SERVER, ok, refused, same, unique  # noqa: E402

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities.workspace import WorkspaceDeletionMode  # noqa: E402
from sklearn.datasets import load_diabetes  # noqa: E402
from sklearn.dummy import DummyRegressor  # noqa: E402

X, y = load_diabetes(return_X_y=True, as_frame=True)
rows = X[:2]
dev, prod, shared, curated = unique("dev"), unique("prod"), unique("shared"), unique("curated")
API = f"{SERVER}/api/1.0"


def call(method, path, body=None):
    reply = requests.request(method, API + path, json=body, timeout=30)
    assert reply.status_code < 300, f"{method} {path} answered {reply.status_code}: {reply.text}"
    return reply.json()


class Workspace:
    """A Python process of somebody in a workspace: a shell with MLFLOW_WORKSPACE, and other settings, and mlflow in it."""

    PROGRAM = """
import json, sys, pandas, mlflow, mlflow.pyfunc
from mlflow import MlflowClient
client = MlflowClient()
for line in sys.stdin:
    try:
        answer = {"result": eval(line)}
    except Exception as error:
        answer = {"error": getattr(error, "error_code", type(error).__name__), "message": str(error)}
    print(json.dumps(answer, default=str), flush=True)
"""

    def __init__(self, name, **settings):
        env = {**os.environ, **settings, **({"MLFLOW_WORKSPACE": name} if name else {})}
        command = [sys.executable, "-W", "ignore", "-c", self.PROGRAM]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, expression):
        self.process.stdin.write(expression.replace("\n", " ") + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the process ended at {expression}"
        return json.loads(line)

    def get(self, expression):
        answer = self.ask(expression)
        assert "result" in answer, f"{expression}: {answer}"
        return answer["result"]

    def predict(self, uri):
        frame = rows.to_dict(orient="split")
        return self.get(f"[float(v) for v in mlflow.pyfunc.load_model({uri!r}).predict(pandas.DataFrame(**{frame!r}))]")


client = MlflowClient()
for workspace in (dev, prod):
    client.create_workspace(workspace)
for registry in (shared, curated):
    call("POST", "/registries", {"name": registry, "description": "of all"})
listed = call("GET", "/registries?max_results=1000")["registries"]
assert {shared, curated} <= {registry["name"] for registry in listed}
same(call("GET", f"/registries/{shared}")["mlflow_registry_uri"], f"{SERVER}/registries/{shared}", "mlflow_registry_uri")
ok("A1 A2", "registries are made beside the workspaces, and shown without naming one")

mlflow.set_workspace(dev)
mlflow.set_experiment("training")


def train(value):
    with mlflow.start_run() as run:
        mlflow.log_param("value", value)
        mlflow.log_metric("auc", value / 10)
        mlflow.log_input(mlflow.data.from_pandas(X, name="diabetes"), context="training")
        mlflow.sklearn.log_model(
            DummyRegressor(strategy="constant", constant=value).fit(X, y),
            name="model",
            registered_model_name="fraud",
            input_example=rows,
            pip_requirements=PIP_REQUIREMENTS,
        )
    return run.info.run_id


runs = [train(1.0), train(2.0)]
client.set_registered_model_alias("fraud", "champion", "1")
promoted = client.copy_model_version("models:/fraud@champion", f"{shared}.fraud")
same((promoted.name, promoted.version, promoted.run_id), (f"{shared}.fraud", "1", runs[0]), "the promoted version")
second = mlflow.register_model("models:/fraud/2", f"{shared}.fraud", tags={"mlflow.promotion.reason": "better"})
same((second.name, str(second.version), second.status), (f"{shared}.fraud", "2", "READY"), "a version promoted by register_model")
client.set_registered_model_alias(f"{shared}.fraud", "champion", "1")
client.set_model_version_tag(f"{shared}.fraud", "2", "checked", "yes")
client.update_model_version(f"{shared}.fraud", "2", description="the better one")
ok("A13 A25", "copy_model_version and register_model promote into a registry by its dotted name")

in_prod, in_test = Workspace(prod), Workspace(None)
same(in_prod.predict(f"models:/{shared}.fraud@champion"), [1.0, 1.0], "loaded by alias in prod")
same(in_prod.predict(f"models:/{shared}.fraud/2"), [2.0, 2.0], "loaded by number in prod")
same(in_test.predict(f"models:/{shared}.fraud/latest"), [2.0, 2.0], "the latest, from no workspace")
same(in_prod.get(f"client.get_model_version('{shared}.fraud', '2').tags['checked']"), "yes", "a tag")
found = in_prod.get(f"[(v.name, v.version, list(v.aliases)) for v in client.search_model_versions(\"name='{shared}.fraud'\")]")
same(sorted(found), [[f"{shared}.fraud", "1", ["champion"]], [f"{shared}.fraud", "2", []]], "versions found")
same(in_prod.get(f"[m.name for m in client.search_registered_models(\"name LIKE '{shared}.%'\")]"), [f"{shared}.fraud"], "models found")
same(in_prod.ask("client.get_model_version('fraud', '1')")["error"], "RESOURCE_DOES_NOT_EXIST", "dev's own model, asked for in prod")
ok("A16 B4", "two workspaces use two versions of a registry's model at once, found by alias, number, latest and search")

signature = in_prod.get(f"mlflow.models.get_model_info('models:/{shared}.fraud@champion').signature.inputs.to_dict()[0]['name']")
same(signature, X.columns[0], "the signature in prod")
ok("T1 E4", "get_model_info works on a promoted model from another workspace")

client.set_registered_model_alias(f"{shared}.fraud", "champion", "2")
same(in_prod.predict(f"models:/{shared}.fraud@champion"), [2.0, 2.0], "after the release")
call("POST", f"/registries/{shared}/models/fraud/aliases/champion:rollback")
same(in_prod.predict(f"models:/{shared}.fraud@champion"), [1.0, 1.0], "after the rollback")
moves = call("GET", f"/registries/{shared}/models/fraud/aliases/champion/history")["moves"]
same([move["to_version"] for move in moves], ["1", "2", "1"], "the moves of the alias")
ok("E8 E9", "a release and its rollback by one call, both in the history of the alias")

bound = MlflowClient(registry_uri=f"{SERVER}/registries/{shared}")
same(bound.get_registered_model("fraud").name, "fraud", "a client bound to the registry")
same([v.version for v in client.search_model_versions("name='fraud'")], ["2", "1"], "a client of the workspace, in the same process")
same(in_test.get(f"MlflowClient(registry_uri='{SERVER}/registries/{shared}').get_model_version_by_alias('fraud', 'champion').version"), "1", "by base path")
by_base = Workspace(prod, MLFLOW_REGISTRY_URI=f"{SERVER}/registries/{shared}")
same(by_base.predict("models:/fraud@champion"), [1.0, 1.0], "MLFLOW_REGISTRY_URI")
all_base = Workspace(None, MLFLOW_TRACKING_URI=f"{SERVER}/registries/{shared}")
same(all_base.predict("models:/fraud@champion"), [1.0, 1.0], "MLFLOW_TRACKING_URI of a registry")
prefixed = Workspace(None, MLFLOW_TRACKING_URI=f"{SERVER}/workspaces/{dev}")
same(prefixed.predict("models:/fraud/2"), [2.0, 2.0], "MLFLOW_TRACKING_URI of a workspace")
same(prefixed.predict(f"models:/{shared}.fraud@champion"), [1.0, 1.0], "a dotted name below a workspace's base path")
by_header = Workspace(shared)
same(by_header.predict("models:/fraud@champion"), [1.0, 1.0], "MLFLOW_WORKSPACE names the registry")
ok("B1", "base paths and the header mean the same registry, beside a workspace in one process")

with mlflow.start_run():
    mlflow.sklearn.log_model(
        DummyRegressor(strategy="constant", constant=5.0).fit(X, y),
        name="direct",
        registered_model_name=f"{curated}.fraud",
        pip_requirements=PIP_REQUIREMENTS,
    )
same(in_prod.predict(f"models:/{curated}.fraud/1"), [5.0, 5.0], "log_model straight into a registry")
onward = client.copy_model_version(f"models:/{shared}.fraud@champion", f"{curated}.promoted")
same((onward.name, onward.version), (f"{curated}.promoted", "1"), "from registry to registry")
same(in_prod.predict(f"models:/{curated}.promoted/1"), [1.0, 1.0], "what went from registry to registry")
ok("A2 B2 D3", "log_model registers straight into a registry; one registry promotes into another")

explicit = {"source": {"workspace": dev, "name": "fraud", "version": "2"}, "target": {"registry": shared, "name": "fraud", "version": 7}}
same(call("POST", "/promotions", {**explicit, "set_aliases": ["candidate"]})["target"]["version"], "7", "an explicit number")
again = requests.post(f"{API}/promotions", json=explicit, timeout=30)
same((again.status_code, again.json()["error_code"]), (400, "RESOURCE_ALREADY_EXISTS"), "the same number again")
assert "fraud" in again.json()["message"] and "7" in again.json()["message"]
text = refused("RESOURCE_ALREADY_EXISTS", mlflow.register_model, "models:/fraud/2", f"{shared}.fraud", tags={"mlflow.promotion.version": "7"})
assert "Version 7" in text, text
same(in_prod.predict(f"models:/{shared}.fraud@candidate"), [2.0, 2.0], "the explicit version")
ok("A15 B3", "the same name and number again is refused with both, and changes nothing")

teaching = in_prod.ask(f"mlflow.pyfunc.load_model('models:/{shared}/fraud@champion')")
assert f"models:/{shared}.fraud@champion" in teaching["message"], teaching
started = time.monotonic()
unknown = in_prod.ask(f"client.copy_model_version('models:/nothing/1', '{shared}.orphan')")
assert "error" in unknown and time.monotonic() - started < 5, unknown
same(in_prod.ask(f"client.get_registered_model('{shared}.orphan')")["error"], "RESOURCE_DOES_NOT_EXIST", "no orphan")
ok("T3", "a wrong spelling is answered with the right one; a promotion that fails leaves no model behind")

manifest = call("GET", f"/registries/{shared}/models/fraud/versions/1/manifest")
mlflow.set_workspace("default")
client.delete_workspace(dev, mode=WorkspaceDeletionMode.CASCADE)
same(in_prod.predict(f"models:/{shared}.fraud@champion"), [1.0, 1.0], "after dev is gone")
assert in_prod.get(f"mlflow.models.get_model_info('models:/{shared}.fraud@champion').signature is not None")
lines = requests.post(f"{API}/registries/{shared}/models/fraud/versions/1:verify", timeout=60).text.splitlines()
same({key: json.loads(lines[-1])[key] for key in ("status", "digest")}, {"status": "OK", "digest": manifest["digest"]}, "verification")
snapshot = call("GET", f"/registries/{shared}/models/fraud/versions/1/provenance")["snapshot"]
same(snapshot["source"]["workspace"], dev, "the workspace it came from")
same([param["value"] for param in snapshot["run"]["data"]["params"] if param["key"] == "value"], ["1.0"], "the params of its run")
same(snapshot["datasets"][0]["name"], "diabetes", "the data it was trained on")
assert snapshot["model"]["mlmodel"]["signature"] and snapshot["code"]["name"]
ok("A17 F8", "after the workspace is deleted the registry's version still loads, verifies, and says what made it")
