"""The mlflow command line against the server."""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import PIP_REQUIREMENTS, ok, same, unique

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier


def start(*arguments):
    return subprocess.Popen([sys.executable, "-W", "ignore", "-m", "mlflow", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, f"{process.args[4:]} failed:\n{out}{error}"
    return out


name = unique("cli")
experiment_name = unique("cli")
output(start("experiments", "create", "--experiment-name", experiment_name))
experiment_id = mlflow.set_experiment(experiment_name).experiment_id
ok("C1", "mlflow experiments create")

X, y = load_iris(return_X_y=True)
with mlflow.start_run(run_name="from-cli") as run:
    mlflow.log_text("hello", "texts/a.txt")
    model = DummyClassifier().fit(X, y)
    info = mlflow.sklearn.log_model(model, name="model", registered_model_name=name, pip_requirements=PIP_REQUIREMENTS)
run_id = run.info.run_id
MlflowClient().set_registered_model_alias(name, "champion", "1")

with tempfile.TemporaryDirectory() as folder:
    # All at once: each spends seconds on importing mlflow.
    experiments = start("experiments", "search")
    runs = start("runs", "list", "--experiment-id", experiment_id)
    described = start("runs", "describe", "--run-id", run_id)
    listed = start("artifacts", "list", "--run-id", run_id, "--artifact-path", "texts")
    file = start("artifacts", "download", "--run-id", run_id, "--artifact-path", "texts/a.txt", "--dst-path", folder)
    by_alias = start("artifacts", "download", "--artifact-uri", f"models:/{name}@champion", "--dst-path", f"{folder}/model")

    assert experiment_name in output(experiments), "experiments search must list the experiment"
    assert run_id in output(runs), "runs list must list the run"
    assert '"run_name": "from-cli"' in output(described), "runs describe must show the run"
    ok("C2", "mlflow experiments search, runs list, runs describe")

    assert '"texts/a.txt"' in output(listed), "artifacts list must list the file"
    output(file)
    same(Path(folder, "a.txt").read_text(), "hello", "downloaded file")
    output(by_alias)
    assert Path(folder, "model", "MLmodel").is_file(), f"no MLmodel in {list(Path(folder).rglob('*'))}"
    ok("C3 F12", "mlflow artifacts list, and download of a file and of models:/name@alias")

output(start("runs", "delete", "--run-id", run_id))
same(MlflowClient().get_run(run_id).info.lifecycle_stage, "deleted", "lifecycle stage")
ok("C4", "mlflow runs delete")
