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
