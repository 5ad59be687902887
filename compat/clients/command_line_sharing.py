"""The mlflow command line on a shared model: download, predict and serve, by dotted name and base path; what would change a version is refused."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "stock"))
os.environ.pop("MLFLOW_WORKSPACE", None)

from common import SERVER, api, enter, log_constant, make_registries, ok, same, unique

import mlflow
import requests
from mlflow import MlflowClient

LIMIT_S = 200

client = MlflowClient()
dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
[shared] = make_registries("shared")

enter(dev)
mlflow.set_experiment("training")
with mlflow.start_run():
    log_constant(7.0, registered_model_name="fraud")
client.copy_model_version("models:/fraud/1", f"{shared}.fraud")
client.set_registered_model_alias(f"{shared}.fraud", "champion", "1")
enter()


def manifest():
    return api("GET", f"/registries/{shared}/models/fraud/versions/1/manifest")


def start(*arguments, **settings):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # serve starts uvicorn by its name
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "mlflow", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PATH": path, **settings},
        start_new_session=True,  # so that what it starts can be ended with it
    )


def finish(process):
    output, _ = process.communicate(timeout=LIMIT_S)
    return process.returncode, output


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def invoke(process, port, body):
    """The answer of a model server that may be starting."""
    until = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < until:
        try:
            return requests.post(f"http://127.0.0.1:{port}/invocations", json=body, timeout=30).json()
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"the model server does not answer; exit code {process.poll()}")


with tempfile.TemporaryDirectory() as name:
    folder, port = Path(name), free_port()
    rows, predictions = folder / "rows.json", folder / "predictions.json"
    rows.write_text(json.dumps({"inputs": [0.0, 1.0]}))
    before = manifest()

    # All at once: each spends seconds on importing mlflow.
    dotted = f"models:/{shared}.fraud@champion"
    serve = start("models", "serve", "-m", dotted, "-p", str(port), "--env-manager", "local", MLFLOW_WORKSPACE=prod)
    download = start("artifacts", "download", "-u", dotted, "-d", str(folder / "model"), MLFLOW_WORKSPACE=prod)
    predict = start(
        *("models", "predict", "-m", "models:/fraud@champion", "-i", str(rows), "-o", str(predictions), "--env-manager", "local"),
        MLFLOW_TRACKING_URI=f"{SERVER}/registries/{shared}",
    )
    change = start("models", "update-pip-requirements", "-m", f"models:/{shared}.fraud/1", "add", "extra", MLFLOW_WORKSPACE=prod)
    experiment = start("experiments", "create", "--experiment-name", "training", MLFLOW_WORKSPACE=shared)
    try:
        code, output = finish(download)
        same(code, 0, f"exit code of the download\n{output}")
        files = [path for path in (folder / "model").rglob("*") if path.is_file() and path.name != "registered_model_meta"]
        sizes = {path.relative_to(folder / "model").as_posix(): path.stat().st_size for path in files}
        same(sizes, {file["path"]: file["size"] for file in before["files"]}, "files downloaded")
        ok("download-shared", "-u models:/registry.name@alias, from a workspace")

        code, output = finish(predict)
        same(code, 0, f"exit code of the prediction\n{output}")
        same(json.loads(predictions.read_text())["predictions"], [7.0, 7.0], "predictions")
        same(invoke(serve, port, {"inputs": [0.0]})["predictions"], [7.0], "prediction of the server")
        ok("predict-shared", "by base path")
        ok("serve-shared", "by dotted name, from a workspace")

        code, output = finish(change)
        assert code != 0, f"update-pip-requirements of a registered version succeeded:\n{output}"
        same(manifest(), before, "the version after that")
        code, output = finish(experiment)
        assert code != 0 and f"'{shared}' is a registry" in output, f"experiments create ended with {code}:\n{output}"
        ok("changes-refused", "update-pip-requirements changes no version; experiments create is told that a registry has none")
    finally:
        os.killpg(serve.pid, signal.SIGTERM)
        serve.communicate(timeout=LIMIT_S)
