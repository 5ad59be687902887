"""Artifacts of a run: log, list, download and delete, with nested folders, odd names and large files."""

import json
import os
import tempfile
from pathlib import Path

from common import ok, refused, same, unique

import matplotlib.figure
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
mlflow.set_experiment(unique("artifacts"))
run_id = mlflow.start_run().info.run_id


def listed(path=None):
    return {file.path: file.file_size if not file.is_dir else "folder" for file in client.list_artifacts(run_id, path)}


def content(path):
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


same(listed(), {}, "artifacts of a new run")
files = {
    "a.txt": b"text",
    "empty.bin": b"",
    "deep/deeper/b.bin": bytes(range(256)),
    "deep/names/with space & ümläut 漢字 100%+;=@.txt": b"odd",
    "deep/large.bin": os.urandom(12 * 1024 * 1024),
}
with tempfile.TemporaryDirectory() as folder:
    for path, data in files.items():
        file = Path(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    mlflow.log_artifacts(folder, "all")
    mlflow.log_artifact(str(Path(folder, "a.txt")))
    mlflow.log_artifact(str(Path(folder, "deep")), "one/two")
same(listed(), {"a.txt": 4, "all": "folder", "one": "folder"}, "the root")
same(set(listed("all")), {"all/a.txt", "all/empty.bin", "all/deep"}, "a folder")
same(listed("all/deep"), {"all/deep/deeper": "folder", "all/deep/names": "folder", "all/deep/large.bin": 12 * 1024 * 1024}, "a folder in it")
same(listed("one/two/deep/deeper"), {"one/two/deep/deeper/b.bin": 256}, "a folder logged by log_artifact")
same(listed("nothing/here"), {}, "a folder that does not exist")
ok("R9", "log_artifact, log_artifacts and list_artifacts")

for path, data in files.items():
    assert content(f"all/{path}") == data, f"bytes of {path} differ"
downloaded = Path(client.download_artifacts(run_id, "all"))
same({str(path.relative_to(downloaded)) for path in downloaded.rglob("*") if path.is_file()}, set(files), "files of a downloaded folder")
for path, data in files.items():
    assert (downloaded / path).read_bytes() == data, f"bytes of {path} differ in the downloaded folder"
by_uri = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/all/a.txt")
same(Path(by_uri).read_text(), "text", "a file by runs:/ URI")
same(mlflow.artifacts.load_text(mlflow.get_artifact_uri("a.txt")), "text", "load_text")
ok("R9", "downloads of files and folders have the same bytes, also 12 MB and odd names")

try:
    client.download_artifacts(run_id, "nothing.txt")
except (MlflowException, OSError) as error:
    assert "nothing.txt" in str(error), f"the error must name the file, it says: {error}"
else:
    raise AssertionError("the download of a missing file must fail")
ok("R9", "the download of a missing file fails and names it")

client.log_text(run_id, "erste Zeile ä\n", "texts/a.txt")
mlflow.log_text("<h1>Hi</h1>", "texts/b.html")
mlflow.log_dict({"a": [1, 2], "ü": None}, "dicts/a.json")
mlflow.log_dict({"a": 1}, "dicts/a.yaml")
mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "images/black.png")
figure = matplotlib.figure.Figure()
figure.subplots().plot([1, 2, 3])
mlflow.log_figure(figure, "figures/line.png")
same(content("texts/a.txt").decode(), "erste Zeile ä\n", "log_text")
same(mlflow.artifacts.load_dict(f"runs:/{run_id}/dicts/a.json"), {"a": [1, 2], "ü": None}, "log_dict")
same(content("dicts/a.yaml"), b"a: 1\n", "log_dict as yaml")
same([content(path)[1:4] for path in ("images/black.png", "figures/line.png")], [b"PNG", b"PNG"], "log_image and log_figure")
ok("R9", "log_text, log_dict, log_image and log_figure")

mlflow.log_table({"question": ["a", "b"], "score": [1, 2]}, "tables/t.json")
mlflow.log_table(pd.DataFrame({"question": ["c"], "score": [3]}), "tables/t.json")
table = mlflow.load_table("tables/t.json", run_ids=[run_id])
same(list(table["score"]), [1, 2, 3], "rows of a table logged in two steps")
tag = json.loads(client.get_run(run_id).data.tags["mlflow.loggedArtifacts"])
same(tag, [{"path": "tables/t.json", "type": "table"}], "tag that names the tables")
ok("R9", "log_table appends, load_table reads")

mlflow.log_text("new", "a.txt")
same(content("a.txt"), b"new", "bytes after logging again")
repository = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(mlflow.get_artifact_uri())
repository.delete_artifacts("a.txt")
repository.delete_artifacts("all/deep")
same(set(listed()), {"all", "dicts", "figures", "images", "one", "tables", "texts"}, "the root after a delete")
same(set(listed("all")), {"all/a.txt", "all/empty.bin"}, "a folder after a delete")
ok("R9", "a file is logged again, files and folders are deleted")
mlflow.end_run()

refused("RESOURCE_DOES_NOT_EXIST", client.list_artifacts, "0" * 32)
ok("R9", "artifacts of an unknown run are refused")
