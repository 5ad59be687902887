"""Promotion by the stock calls and by the API: what is kept, what is refused and leaves nothing behind, and what a change of the source changes."""

import os
import tempfile
import time

os.environ.pop("MLFLOW_WORKSPACE", None)

from common import api, constant, enter, log_constant, make_registries, ok, predicted, refused, reply_to, same, unique, verify

import mlflow
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
dev, prod = unique("dev"), unique("prod")
for workspace in (dev, prod):
    client.create_workspace(workspace)
shared, curated = make_registries("shared", "curated")

enter(dev)
mlflow.set_experiment("training")
run_ids = []
for value in (1.0, 2.0):
    with mlflow.start_run() as run:
        log_constant(value, registered_model_name="fraud")
    run_ids.append(run.info.run_id)
client.update_model_version("fraud", "1", description="The first.")
client.set_model_version_tag("fraud", "1", "team", "a")
client.set_registered_model_alias("fraud", "champion", "1")

copied = client.copy_model_version("models:/fraud@champion", f"{shared}.fraud")
same((copied.name, copied.version, copied.run_id, copied.status), (f"{shared}.fraud", "1", run_ids[0], "READY"), "copied version")
same((copied.description, copied.tags["team"]), ("The first.", "a"), "description and tag of the copied version")
manifest = api("GET", f"/workspaces/{dev}/models/fraud/versions/1/manifest")
tags = {key.removeprefix("mlflow.promotion."): value for key, value in copied.tags.items() if key.startswith("mlflow.promotion.")}
promotion_id = tags.pop("id")
same(tags, {"digest": manifest["digest"], "source_workspace": dev, "source_name": "fraud", "source_version": "1"}, "tags of the promotion")
same(copied.source, f"models:/{dev}.fraud/1", "source, with the workspace that the name alone leaves out (T7)")
same(api("GET", f"/promotions/{promotion_id}")["digest"], manifest["digest"], "digest of the promotion")

registered = mlflow.register_model("models:/fraud/2", f"{shared}.fraud", tags={"mlflow.promotion.reason": "it is better", "team": "b"})
same((registered.name, str(registered.version), registered.status), (f"{shared}.fraud", "2", "READY"), "registered version")
by_api = api("GET", f"/promotions/{registered.tags['mlflow.promotion.id']}")
same((by_api["reason"], by_api["target"]["version"]), ("it is better", "2"), "promotion")
enter(prod)
same([predicted(f"models:/{shared}.fraud/{number}") for number in (1, 2)], [1.0, 2.0], "predictions in another workspace")
ok("A13 A25 T2 T7", "copy_model_version and register_model promote; the second finds the model there and adds to it")

enter(dev)
mlflow.register_model("models:/fraud@champion", f"{curated}.renamed-on-the-way")
onward = client.copy_model_version(f"models:/{shared}.fraud/2", f"{curated}.fraud")
same((onward.name, onward.run_id, onward.source), (f"{curated}.fraud", run_ids[1], f"models:/{shared}.fraud/2"), "from registry to registry")
enter(prod)
same([predicted(f"models:/{curated}.{name}/1") for name in ("renamed-on-the-way", "fraud")], [1.0, 2.0], "predictions of the other registry")
ok("A2 A13", "a version takes another name on the way, and goes on from one registry to the next")

enter(dev)
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    mlflow.pyfunc.save_model(f"{folder}/model", python_model=constant(4.0), pip_requirements=["mlflow"])
    mlflow.log_artifacts(f"{folder}/model", "outputs/model")
from_run = mlflow.register_model(f"runs:/{run.info.run_id}/outputs/model", f"{shared}.from-run")
same((from_run.run_id, predicted(f"models:/{shared}.from-run/1")), (run.info.run_id, 4.0), "registered from the outputs of a run")
described = client.create_model_version(
    f"{shared}.from-run",
    f"runs:/{run.info.run_id}/outputs/model",
    run.info.run_id,
    description="With number and description.",
    tags={"mlflow.promotion.version": "20"},
)
same((described.version, described.description, described.run_id), ("20", "With number and description.", run.info.run_id), "described version")
ok("A14 B2", "the outputs of a run are registered straight into a registry, with the link to the run, a number and a description")

explicit = {"source": {"workspace": dev, "name": "fraud", "version": "2"}, "target": {"registry": shared, "name": "fraud", "version": 7}}
dry = api("POST", "/promotions", {**explicit, "dry_run": True})
same((dry["target"]["version"], dry["dry_run"]), ("7", True), "a dry run")
refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, f"{shared}.fraud", "7")
made = api("POST", "/promotions", {**explicit, "set_aliases": ["candidate"], "reason": "quarterly"})
same((made["status"], made["target"]["version"], made["reason"]), ("COMPLETED", "7", "quarterly"), "promotion by the API")
same(predicted(f"models:/{shared}.fraud@candidate"), 2.0, "the alias set with the promotion")


def state():
    model = client.get_registered_model(f"{shared}.fraud")
    versions = client.search_model_versions(f"name = '{shared}.fraud'", order_by=["version_number ASC"])
    return model.last_updated_timestamp, model.aliases, [(v.version, v.last_updated_timestamp, v.tags) for v in versions]


before = state()
again = reply_to("POST", "/promotions", explicit)
same((again.status_code, again.json()["error_code"]), (400, "RESOURCE_ALREADY_EXISTS"), "the same number again, by the API")
texts = [again.json()["message"]]
taken = {"mlflow.promotion.version": "7"}
texts.append(refused("RESOURCE_ALREADY_EXISTS", mlflow.register_model, "models:/fraud/2", f"{shared}.fraud", tags=taken))
texts.append(refused("RESOURCE_ALREADY_EXISTS", client.create_model_version, f"{shared}.fraud", "models:/fraud/2", tags=taken))
for text in texts:
    assert "Version 7 of model 'fraud' already exists" in text and shared in text, text
same(state(), before, "the model after the refusals")
same(client.copy_model_version("models:/fraud/1", f"{shared}.fraud").version, "8", "the next number after an explicit one")
client.delete_model_version(f"{shared}.fraud", "8")
refused("RESOURCE_ALREADY_EXISTS", mlflow.register_model, "models:/fraud/2", f"{shared}.fraud", tags={"mlflow.promotion.version": "8"})
same(client.copy_model_version("models:/fraud/1", f"{shared}.fraud").version, "9", "the number after that of a deleted version")
ok("A15 B3", "the same name and number again is refused with both and changes nothing; stock calls count on, and never use a number twice")

elsewhere = client.create_model_version("fraud", "s3://nowhere/model").version
new = f"{shared}.new"
for call, sentence in (
    (lambda: client.copy_model_version(f"models:/fraud/{elsewhere}", new), f"models:/fraud/{elsewhere} has no files on this server"),
    (lambda: mlflow.register_model(f"models:/fraud/{elsewhere}", new), f"models:/fraud/{elsewhere} has no files on this server"),
    (lambda: client.copy_model_version("models:/fraud/99", new), "not found"),
    (lambda: client.copy_model_version("models:/fraud@nobody", new), "Registered model alias nobody not found."),
    (lambda: client.copy_model_version(f"models:/{prod}.fraud/1", new), "not found"),
):
    started = time.monotonic()
    try:
        raise AssertionError(f"must be refused, but made {call()}")
    except MlflowException as error:
        # What goes before "Error:" is the client's own: the first thing after it is what to do.
        assert sentence in error.message.split("Error: ")[-1].split(".\n")[0], error.message
    assert time.monotonic() - started < 5, "the client went on trying"
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, new)
same([model.name for model in client.search_registered_models(f"name LIKE '{new}%'")], [], "models that stayed behind")
ok("T3 T5 T14", "a promotion that fails says first what to do, at once, and leaves no model behind")

for call, *arguments in (
    (client.set_model_version_tag, f"{shared}.fraud", "1", "mlflow.promotion.source_name", "mine"),
    (client.delete_model_version_tag, f"{shared}.fraud", "1", "mlflow.promotion.id"),
):
    assert "nobody changes it" in refused("INVALID_PARAMETER_VALUE", call, *arguments)
promoted_files = api("GET", f"/registries/{shared}/models/fraud/versions/1/manifest")["files"]
same(promoted_files, manifest["files"], "files of the promoted version")
ok("A13", "the promoted version has the very files of its source, and its tags of origin cannot be changed")


def live_source(version="1"):
    return api("GET", f"/registries/{shared}/models/fraud/versions/{version}/provenance").get("live_source", {}).get("name")


client.rename_registered_model("fraud", "scam")
same(live_source(), "scam", "the source under its new name")
client.delete_model_version("scam", "1")
client.delete_run(run_ids[0])
same((live_source("1"), live_source("2")), (None, "scam"), "the sources after one was deleted")
client.delete_registered_model("scam")
client.rename_registered_model(f"{shared}.fraud", f"{shared}.scam")
same(client.get_model_version_by_alias(f"{shared}.scam", "candidate").version, "7", "alias of the renamed model")
enter(prod)
same([predicted(f"models:/{shared}.scam/{number}") for number in (1, 2, 7)], [1.0, 2.0, 2.0], "predictions after all that")
same(verify(f"registries/{shared}", "scam", "1")["digest"], manifest["digest"], "digest after all that")
same(api("GET", f"/promotions/{promotion_id}")["source"]["name"], "fraud", "the source as it was, in the promotion")
ok("T8", "source renamed and deleted, and the copy renamed: the copy is whole, and knows its source as it was and as it is")
enter()
