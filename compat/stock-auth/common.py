"""Shared by the scripts of this folder: each prints `ok <what held>` and ends with an error otherwise."""

import importlib.util
import os
import sys
import time
import types
import uuid

import mlflow
from mlflow.exceptions import MlflowException

URI = os.environ["MLFLOW_TRACKING_URI"]
ADMIN = (os.environ["ADMIN_USERNAME"], os.environ["ADMIN_PASSWORD"])
PASSWORD = "a long enough password"


class AuthClient:
    """The stock AuthServiceClient, which remembers what of it was called."""

    def __init__(self):
        # The package's __init__ is the server's side, which needs flask-wtf; the client beside it does not.
        package = types.ModuleType("mlflow.server.auth")
        server = importlib.util.find_spec("mlflow.server")
        package.__path__ = [os.path.join(os.path.dirname(server.origin), "auth")]
        sys.modules["mlflow.server.auth"] = package
        from mlflow.server.auth.client import AuthServiceClient

        self._client = AuthServiceClient(URI)
        self._called = set()

    def __getattr__(self, name):
        self._called.add(name)
        return getattr(self._client, name)

    def missed(self):
        return {name for name in dir(self._client) if not name.startswith("_") and name != "tracking_uri"} - self._called


def sign_in(username, password=PASSWORD):
    os.environ["MLFLOW_TRACKING_USERNAME"] = username
    os.environ["MLFLOW_TRACKING_PASSWORD"] = password


def fresh(prefix):
    """A name of nobody else's, since several clients run against one server."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def wait_for_rights():
    """What was taken away may still be allowed for a second."""
    time.sleep(1.1)


def ok(what):
    print(f"ok {what}")


def refused(code, call, *args, **kwargs):
    """The call must be refused with this error code."""
    try:
        result = call(*args, **kwargs)
    except MlflowException as error:
        assert error.error_code == code, f"{error.error_code} instead of {code}: {error}"
        return
    raise AssertionError(f"{call} was not refused with {code}, but gave {result!r}")


sign_in(*ADMIN)
mlflow.set_tracking_uri(URI)
