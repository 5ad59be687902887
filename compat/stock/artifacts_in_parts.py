"""Large artifacts in parts: the proxied multipart upload and download of the client, forced on, and as the server advertises them."""

import hashlib
import os
import tempfile
from pathlib import Path

os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(6 * 1024 * 1024)
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 * 1024 * 1024)  # the least that S3 takes
os.environ["MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE"] = str(3 * 1024 * 1024)

from common import ok, same, unique  # noqa: E402

import mlflow  # noqa: E402
import requests  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository  # noqa: E402

client = MlflowClient()
mlflow.set_experiment(unique("in-parts"))
run_id = mlflow.start_run().info.run_id
paths_called = []
plain_request = requests.Session.request


def recording(self, method, url, **kwargs):
    paths_called.append((method.upper(), url.split("?")[0]))
    return plain_request(self, method, url, **kwargs)


requests.Session.request = recording


def called(method, word):
    return sum(1 for made, path in paths_called if made == method and word in path)


def round_trip(name, data):
    paths_called.clear()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_bytes(data)
        mlflow.log_artifact(str(file), "large")
        copy = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f"large/{name}", dst_path=str(Path(folder, "copy")))
        same(hashlib.sha256(Path(copy).read_bytes()).hexdigest(), hashlib.sha256(data).hexdigest(), f"bytes of {name}")


large = os.urandom(17 * 1024 * 1024 + 3)
round_trip("advertised.bin", large)
same((called("POST", "/mpu/create/"), called("POST", "/mpu/complete/")), (1, 1), "uploads in parts")
same(called("GET", "/presigned/"), 1, "presigned downloads")
ok("R9", "the newest client sends and gets large files in parts by itself, as server-info advertises")

for switch in ("true", "false"):
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = switch
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = switch
    round_trip(f"forced-{switch}.bin", large)
    same(called("POST", "/mpu/create/"), int(switch == "true"), f"uploads in parts when forced {switch}")
    same(called("GET", "/presigned/"), int(switch == "true"), f"presigned downloads when forced {switch}")
ok("R9", "parts forced on and off give the same bytes")

os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
for name, size in {"empty.bin": 0, "small.bin": 10, "exact.bin": 10 * 1024 * 1024, "wörld 1%.bin": 6 * 1024 * 1024}.items():
    round_trip(name, os.urandom(size))
ok("R9", "empty, small, evenly divided and oddly named files")

name = unique("in-parts")
client.create_registered_model(name)
version = client.create_model_version(name, f"runs:/{run_id}/large", run_id=run_id)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "advertised.bin")
    file.write_bytes(os.urandom(7 * 1024 * 1024))
    mlflow.log_artifact(str(file), "large")
    frozen = mlflow.artifacts.download_artifacts(f"models:/{name}/{version.version}", dst_path=str(Path(folder, "copy")))
    same(Path(frozen, "advertised.bin").read_bytes() == large, True, "the version has the bytes it was registered with")
ok("F6", "a version registered from files sent in parts is frozen like any other")

repository = MlflowArtifactsRepository(mlflow.get_run(run_id).info.artifact_uri)
begun = repository.create_multipart_upload("/tmp/given-up.bin", 2, "large")
repository.abort_multipart_upload("/tmp/given-up.bin", begun.upload_id, "large")
try:
    repository.complete_multipart_upload("/tmp/given-up.bin", begun.upload_id, [], "large")
    raise AssertionError("an upload that was given up must not complete")
except (requests.HTTPError, MlflowException) as error:
    same("404" in str(error), True, f"answer to completing what was given up: {error}")
same("large/given-up.bin" in [file.path for file in client.list_artifacts(run_id, "large")], False, "a file that was given up")
ok("R9", "an upload that was given up leaves nothing")
