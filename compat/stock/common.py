"""What every scenario needs. Import it before mlflow: it settles how the client behaves in a test."""

import json
import os
import subprocess
import sys
import uuid

if not os.environ.get("MLFLOW_TRACKING_URI"):
    sys.exit("set MLFLOW_TRACKING_URI to the server under test, for example http://127.0.0.1:5000")

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # a 5xx fails the scenario now, not minutes later
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow.exceptions import MlflowException  # noqa: E402

SERVER = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")

# Spares the seconds in which log_model finds out the requirements by loading the model once more.
PIP_REQUIREMENTS = ["mlflow", "scikit-learn"]


def unique(word):
    """A name nobody used before, so a scenario can run against any server any number of times."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def ok(ids, what):
    """Reports a statement that was just checked; `ids` are the requirements it belongs to."""
    print(f"ok {ids} {what}", flush=True)


def same(actual, expected, what):
    assert actual == expected, f"{what}: expected {expected!r}, got {actual!r}"


def refused(error_code, call, *args, **kwargs):
    """The message of the MlflowException that the call raises; fails unless it carries this error code."""
    try:
        result = call(*args, **kwargs)
    except MlflowException as error:
        same(error.error_code, error_code, f"error code of {error.message!r}")
        return error.message
    raise AssertionError(f"{call.__name__}{args} must be refused with {error_code}, but returned {result!r}")


def enter(workspace=None, registry_uri=None, tracking_uri=SERVER):
    """What a new shell does that sets MLFLOW_WORKSPACE, MLFLOW_REGISTRY_URI and MLFLOW_TRACKING_URI, or some of them."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(registry_uri)
    mlflow.set_workspace(workspace)
    for name, value in (("MLFLOW_REGISTRY_URI", registry_uri), ("MLFLOW_WORKSPACE", workspace)):
        if value is None:
            os.environ.pop(name, None)  # which setting None leaves


def reply_to(method, path, body=None):
    """The answer of the server's own API, below /api/1.0, whatever it is."""
    import requests

    return requests.request(method, f"{SERVER}/api/1.0{path}", json=body, timeout=60)


def api(method, path, body=None):
    """The JSON that the server's own API answers with; fails unless it answers with success."""
    reply = reply_to(method, path, body)
    assert reply.ok, f"{method} {path} answered {reply.status_code}: {reply.text}"
    return reply.json()


def make_registries(*words):
    """The names of new registries."""
    return [api("POST", "/registries", {"name": unique(word)})["name"] for word in words]


def verify(scope, name, version):
    """The last line of a verification of a version's files, "registries/<name>" or "workspaces/<name>" being the scope."""
    reply = reply_to("POST", f"/{scope}/models/{name}/versions/{version}:verify")
    assert reply.ok, f"the verification answered {reply.status_code}: {reply.text}"
    return json.loads(reply.text.splitlines()[-1])


def constant(value):
    """A small model that predicts one value. Its class is made here, so that it is saved with the model: nobody who loads it needs this file."""
    import mlflow.pyfunc

    class Constant(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[float], params=None) -> list[float]:
            return [value for _ in model_input]

    return Constant()


def log_constant(value, **options):
    """Logs such a model into the active run; returns what log_model does."""
    import mlflow.pyfunc

    return mlflow.pyfunc.log_model(name="model", python_model=constant(value), pip_requirements=["mlflow"], **options)


def predicted(uri):
    """What the model predicts for one row."""
    import mlflow.pyfunc

    [value] = mlflow.pyfunc.load_model(uri).predict([0.0])
    return value


class Shell:
    """A Python process of somebody's own, with other settings, in which mlflow is imported: it evaluates what it is asked for."""

    PROGRAM = """
import json, sys, mlflow, mlflow.pyfunc
from mlflow import MlflowClient
client = MlflowClient()
for line in sys.stdin:
    try:
        answer = {"result": eval(json.loads(line))}
    except Exception as error:
        answer = {"error": getattr(error, "error_code", type(error).__name__), "message": str(error)}
    print(json.dumps(answer, default=str), flush=True)
"""

    def __init__(self, **settings):
        command = [sys.executable, "-W", "ignore", "-c", self.PROGRAM]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings})

    def ask(self, expression):
        """{"result": value} or {"error": code, "message": text}."""
        self.process.stdin.write(json.dumps(expression) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the process ended at {expression}; its error is above"
        return json.loads(line)

    def get(self, expression):
        answer = self.ask(expression)
        assert "result" in answer, f"{expression}: {answer}"
        return answer["result"]

    def predicted(self, uri):
        return self.get(f"mlflow.pyfunc.load_model({uri!r}).predict([0.0])[0]")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class OtherProcess:
    """A process with an mlflow of its own that loads models by URI, as a service on another machine would."""

    PROGRAM = """
import json, sys, pandas, mlflow.pyfunc
for line in sys.stdin:
    request = json.loads(line)
    model = mlflow.pyfunc.load_model(request["model_uri"])
    predictions = model.predict(pandas.DataFrame(**request["rows"]))
    print(json.dumps([float(value) for value in predictions]), flush=True)
"""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", self.PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def predict(self, model_uri, rows):
        request = {"model_uri": model_uri, "rows": rows.to_dict(orient="split")}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the other process could not load {model_uri}; its error is above"
        return json.loads(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=30)
