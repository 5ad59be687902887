"""Experiments: create, tag, search, rename, delete and restore."""

from common import ok, refused, same, unique

from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient()
prefix = unique("experiment")
names = [f"{prefix}-{word}" for word in ("Apple", "banana", "cherry")]
ids = {name: client.create_experiment(name, tags={"fruit": name[-5:], "n": str(number)}) for number, name in enumerate(names)}
like = f"name LIKE '{prefix}%'"

made = client.get_experiment(ids[names[0]])
same((made.name, made.lifecycle_stage, made.tags), (names[0], "active", {"fruit": "Apple", "n": "0"}), "experiment")
assert made.artifact_location.startswith("mlflow-artifacts:/"), f"artifacts go through the server, not to {made.artifact_location}"
same(client.get_experiment_by_name(names[1]).experiment_id, ids[names[1]], "get_experiment_by_name")
same(client.get_experiment_by_name(unique("nothing")), None, "an unknown name")
same(client.get_experiment("0").name, "Default", "the experiment every server has")
refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "99999999")
assert "already exists" in refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, names[0])
ok("X1", "create and get experiments; the Default experiment is there")


def found(filter_string=like, **kwargs):
    return [experiment.name for experiment in client.search_experiments(filter_string=filter_string, **kwargs)]


same(found(), names[::-1], "newest first")
same(found(f"name ILIKE '{prefix}-a%'"), names[:1], "name ILIKE")
same(found(f"{like} AND tags.fruit = 'Apple'"), names[:1], "tags =")
same(found(f"{like} AND tag.n != '1'"), [names[2], names[0]], "tag !=")
same(found(f"{like} AND creation_time > 0", order_by=["name ASC"]), names, "creation_time, order_by name")
same(found(order_by=["name DESC"], max_results=1), names[2:], "max_results")
page = client.search_experiments(filter_string=like, max_results=2, order_by=["name ASC"])
rest = client.search_experiments(filter_string=like, max_results=2, order_by=["name ASC"], page_token=page.token)
same([experiment.name for experiment in [*page, *rest]], names, "two pages")
refused("INVALID_PARAMETER_VALUE", client.search_experiments, filter_string="colour = 'red'")
ok("X2", "search_experiments filters, orders and pages")

experiment_id = ids[names[0]]
client.set_experiment_tag(experiment_id, "fruit", "pear")
client.set_experiment_tag(experiment_id, "mlflow.note.content", "About *fruit*.")
client.delete_experiment_tag(experiment_id, "n")
same(client.get_experiment(experiment_id).tags, {"fruit": "pear", "mlflow.note.content": "About *fruit*."}, "tags")
client.rename_experiment(experiment_id, f"{prefix}-Pear")
same(client.get_experiment(experiment_id).name, f"{prefix}-Pear", "name")
ok("X3", "tag and rename an experiment")

run_id = client.create_run(experiment_id).info.run_id
client.delete_experiment(experiment_id)
same(client.get_experiment(experiment_id).lifecycle_stage, "deleted", "lifecycle stage")
same(client.get_run(run_id).info.lifecycle_stage, "deleted", "lifecycle stage of its run")
same(found(view_type=ViewType.DELETED_ONLY), [f"{prefix}-Pear"], "deleted experiments")
same(len(found(view_type=ViewType.ALL)), 3, "all experiments")
refused("RESOURCE_DOES_NOT_EXIST", client.delete_experiment, experiment_id)
client.restore_experiment(experiment_id)
same(client.get_experiment(experiment_id).lifecycle_stage, "active", "lifecycle stage after restore")
same(client.get_run(run_id).info.lifecycle_stage, "active", "lifecycle stage of its run after restore")
ok("X4", "delete and restore an experiment with its runs")
