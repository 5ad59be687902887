"""
Two workspaces, two registries, and three processes at once: they register, promote, move aliases and load, without waiting for each other.
No number is given twice, no update is lost, and every load has the bytes of a version that the alias pointed to while it was loaded.
"""

import json
import os
import subprocess
import sys

from common import SERVER, api, enter, log_constant, make_registries, ok, predicted, same, unique, verify

import mlflow
from mlflow import MlflowClient

ROUNDS = 3
LIMIT_S = 200


def moves(registry, alias):
    """The versions an alias pointed to, oldest first."""
    history = api("GET", f"/registries/{registry}/models/fraud/aliases/{alias}/history?max_results=1000")["moves"]
    return [move["to_version"] for move in reversed(history)]


def load(registry, uri):
    """What the alias "champion" gave, and the versions it pointed to from before the load until after it."""
    known = moves(registry, "champion")
    value = predicted(uri)
    return {"registry": registry, "value": value, "possible": moves(registry, "champion")[max(len(known) - 1, 0) :]}


def work(number, shared, curated):
    """What one process does in its workspace. Prints what it made and saw, as JSON."""
    client = MlflowClient()
    made = {shared: {}, curated: {}}
    loads, champions = [], []
    mlflow.set_experiment("training")
    with mlflow.start_run():
        for turn in range(ROUNDS):
            value = float(number * 1000 + turn)
            own = log_constant(value, registered_model_name="fraud").registered_model_version
            for registry in (shared, curated):
                promoted = client.copy_model_version(f"models:/fraud/{own}", f"{registry}.fraud")
                made[registry][promoted.version] = value
            version = max(made[shared], key=int)
            client.set_registered_model_alias(f"{shared}.fraud", "champion", version)
            champions.append(version)
            client.set_registered_model_tag(f"{shared}.fraud", f"process-{number}-{turn}", version)
            client.set_model_version_tag(f"{shared}.fraud", "1", f"process-{number}-{turn}", "was here")
            loads.append(load(shared, f"models:/{shared}.fraud@champion"))
            same(predicted(f"models:/{curated}.fraud/{promoted.version}"), value, "the version it promoted")
    print(json.dumps({"made": made, "loads": loads, "champions": champions}))


def watch(shared, curated):
    """What the third process does, whose registry URI is the one registry: promotes from there into the other, and moves the champion there."""
    root = MlflowClient(registry_uri=SERVER)
    made, loads, champions = {shared: {}, curated: {}}, [], []
    for _ in range(ROUNDS):
        promoted = root.copy_model_version(f"models:/{shared}.fraud@champion", f"{curated}.fraud")
        root.set_registered_model_alias(f"{curated}.fraud", "champion", promoted.version)
        value = predicted(f"models:/fraud/{promoted.tags['mlflow.promotion.source_version']}")
        made[curated][promoted.version] = value
        champions.append(promoted.version)
        loads.append(load(shared, "models:/fraud@champion"))
    print(json.dumps({"made": made, "loads": loads, "champions": champions}))


if len(sys.argv) > 1:
    role, *arguments = sys.argv[1:]
    watch(*arguments) if role == "watch" else work(int(role), *arguments)
    sys.exit()

enter()
client = MlflowClient()
dev, test = unique("dev"), unique("test")
for workspace in (dev, test):
    client.create_workspace(workspace)
shared, curated = make_registries("shared", "curated")
enter(dev)
mlflow.set_experiment("before")
with mlflow.start_run():
    log_constant(0.0, registered_model_name=f"{shared}.fraud")
client.set_registered_model_alias(f"{shared}.fraud", "champion", "1")


def start(role, **settings):
    command = [sys.executable, "-W", "ignore", __file__, role, shared, curated]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "MLFLOW_TRACKING_URI": SERVER, **settings})


processes = [
    start("1", MLFLOW_WORKSPACE=dev),
    start("2", MLFLOW_WORKSPACE=test),
    start("watch", MLFLOW_WORKSPACE=dev, MLFLOW_REGISTRY_URI=f"{SERVER}/registries/{shared}"),
]
reports = []
for process in processes:
    output, _ = process.communicate(timeout=LIMIT_S)
    same(process.returncode, 0, f"exit code of {process.args[4:]}")
    reports.append(json.loads(output.splitlines()[-1]))
ok("A16", f"three processes in two workspaces each did {ROUNDS} rounds at once in two registries")

expected = {}
for registry, first in ((shared, {"1": 0.0}), (curated, {})):
    every = [*first, *(version for report in reports for version in report["made"][registry])]
    same(sorted(map(int, every)), list(range(1, len(every) + 1)), f"numbers given in {registry}")
    expected[registry] = first | {version: value for report in reports for version, value in report["made"][registry].items()}
    found = client.search_model_versions(f"name = '{registry}.fraud'")
    same({version.version for version in found}, set(every), f"versions of {registry}")
ok("D1", "the numbers are 1 to N in both registries, none missing and none twice, whoever promoted")

for registry in (shared, curated):
    for version, value in expected[registry].items():
        same(predicted(f"models:/{registry}.fraud/{version}"), value, f"version {version} of {registry}")
digests = {
    version.version: version.tags["mlflow.promotion.digest"] for version in client.search_model_versions(f"name = '{curated}.fraud'")
}
for version in ("1", max(expected[curated], key=int)):
    result = verify(f"registries/{curated}", "fraud", version)
    same((result["status"], result["digest"]), ("OK", digests[version]), "verification")
ok("A13 F6", "every version has the bytes of whoever made it")

history = moves(shared, "champion")
wanted = [version for report in reports[:2] for version in report["champions"]]
same(sorted(history), sorted(["1", *wanted]), "moves of the champion, each once")
for report in reports[:2]:
    own = [version for version in history if version in report["champions"]]
    same(own, report["champions"], "moves of one process, in its order")
same(client.get_registered_model(f"{shared}.fraud").aliases["champion"], history[-1], "the champion in the end")
same(moves(curated, "champion"), reports[2]["champions"], "moves of the other registry's champion")
tags = client.get_registered_model(f"{shared}.fraud").tags
same(len([key for key in tags if key.startswith("process-")]), 2 * ROUNDS, "tags of the model")
same(len([key for key in client.get_model_version(f"{shared}.fraud", "1").tags if key.startswith("process-")]), 2 * ROUNDS, "tags of version 1")
ok("E6 E9", "no move of an alias and no tag is lost; the history has every move in order, and ends where the alias is")

loads = [each for report in reports for each in report["loads"]]
for each in loads:
    possible = {expected[each["registry"]][version] for version in each["possible"]}
    assert each["value"] in possible, f"a load of the champion gave {each['value']}, but the alias pointed to {possible} meanwhile"
moved = sum(len(each["possible"]) > 1 for each in loads)
ok("A16 T10", f"{len(loads)} loads by alias, {moved} of them while it moved, each gave a version that the alias pointed to meanwhile")
enter()
