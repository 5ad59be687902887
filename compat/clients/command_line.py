"""The mlflow command line: a model is downloaded by its alias and stage, byte for byte, and predicts. More of it is in stock/cli.py."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "stock"))

from common import PIP_REQUIREMENTS, ok, same, unique

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import Ridge


def start(*arguments):
    return subprocess.Popen([sys.executable, "-W", "ignore", "-m", "mlflow", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process):
    out, error = process.communicate(timeout=240)
    assert process.returncode == 0, f"mlflow {process.args[5:]} failed:\n{out}{error}"
    return out


def files_below(folder):
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != "registered_model_meta"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


client = MlflowClient()
name = unique("cli")
X = np.arange(12.0).reshape(6, 2)
model = Ridge(alpha=0.5).fit(X, X.sum(axis=1))

experiment_id = mlflow.set_experiment(unique("cli")).experiment_id

with tempfile.TemporaryDirectory() as folder:
    local = Path(folder, "model")
    mlflow.sklearn.save_model(model, local, input_example=X[:2], pip_requirements=PIP_REQUIREMENTS)
    Path(local, "bytes.bin").write_bytes(bytes(range(256)) * 1000)
    saved = files_below(local)
    run_id = client.create_run(experiment_id, run_name="from-cli").info.run_id
    output(start("artifacts", "log-artifacts", "--local-dir", str(local), "--run-id", run_id, "--artifact-path", "model"))
    ok("log-artifacts", "of a folder to a run")

    mlflow.register_model(f"runs:/{run_id}/model", name)
    client.set_registered_model_alias(name, "champion", "1")
    client.transition_model_version_stage(name, "1", "Staging")

    # All at once: each spends seconds on importing mlflow.
    downloads = {
        target: start("artifacts", "download", "-u", uri, "-d", str(Path(folder, target)))
        for target, uri in (("alias", f"models:/{name}@champion"), ("stage", f"models:/{name}/Staging"))
    }
    for target, download in downloads.items():
        output(download)
        folders = [path.parent for path in Path(folder, target).rglob("MLmodel")]
        same(len(folders), 1, f"models downloaded by {target}")
        downloaded = files_below(folders[0])
        same(set(downloaded), set(saved), f"files downloaded by {target}")
        for path, content in saved.items():
            assert downloaded[path] == content, f"{path} downloaded by {target} has other bytes"
    ok("download", "-u models:/name@alias and models:/name/stage: the bytes that were logged")

    rows, predictions = Path(folder, "rows.json"), Path(folder, "predictions.json")
    rows.write_text(json.dumps({"inputs": X.tolist()}))
    predict = start("models", "predict", "-m", f"models:/{name}@champion", "-i", str(rows), "-o", str(predictions), "--env-manager", "local")
    runs = start("runs", "list", "--experiment-id", experiment_id)
    output(predict)
    np.testing.assert_allclose(json.loads(predictions.read_text())["predictions"], model.predict(X))
    ok("predict", "-m models:/name@alias, as the model in memory")

    assert run_id in output(runs), "runs list must list the run"
    ok("runs-list", "has the run")
