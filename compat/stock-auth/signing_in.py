"""
How clients say who they are, and two teams that share models and nothing else: who may publish to a registry from dev, and no more, and who may read it
from prod. For MLflow 1.30 to 3.17, which names a workspace by its base path.
"""

import os
import tempfile
from urllib.parse import urlsplit

import mlflow
import requests
from common import ADMIN, PASSWORD, URI, fresh, ok, refused
from mlflow.tracking import MlflowClient


def admin(method, path, body):
    reply = requests.request(method, URI + path, json=body, auth=ADMIN)
    assert reply.ok, reply.text
    return reply.json()


def signed_in(**settings):
    """Only these settings say who calls."""
    for name in ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "NETRC"]:
        os.environ.pop(name, None)
    os.environ.update(settings)


def by_password(username):
    signed_in(MLFLOW_TRACKING_USERNAME=username, MLFLOW_TRACKING_PASSWORD=PASSWORD)


def client_at(path):
    mlflow.set_tracking_uri(URI + path)
    return MlflowClient()


dev, prod, shared = fresh("dev"), fresh("prod"), fresh("shared")
maker, reader = fresh("maker"), fresh("reader")
for workspace in [dev, prod]:
    admin("POST", "/api/3.0/mlflow/workspaces", {"name": workspace})
admin("POST", "/api/1.0/registries", {"name": shared, "visibility": "PRIVATE"})
for username in [maker, reader]:
    admin("POST", "/api/2.0/mlflow/users/create", {"username": username, "password": PASSWORD})
admin("PUT", f"/api/1.0/workspaces/{dev}/grants/user:{maker}", {"permission": "USE"})
admin("PUT", f"/api/1.0/workspaces/{prod}/grants/user:{reader}", {"permission": "USE"})
admin("PUT", f"/api/1.0/registries/{shared}/grants/user:{reader}", {"permission": "READ"})
model = f"{shared}.fraud"
admin("POST", "/api/2.0/mlflow/registered-models/create", {"name": model})
admin("PUT", f"/api/1.0/registries/{shared}/models/fraud/grants/user:{maker}", {"permission": "EDIT"})

token = admin("POST", "/api/1.0/tokens", {"name": "laptop", "username": maker})["token"]
netrc = os.path.join(tempfile.mkdtemp(), "netrc")


def write_netrc(login, password):
    with open(netrc, "w") as file:
        file.write(f"machine {urlsplit(URI).hostname}\nlogin {login}\npassword \"{password}\"\n")
    os.chmod(netrc, 0o600)


client = client_at(f"/workspaces/{dev}")
signed_in()
# MLflow 1 has no UNAUTHENTICATED.
refused("CUSTOMER_UNAUTHORIZED" if mlflow.__version__.startswith("1.") else "UNAUTHENTICATED", client.get_registered_model, model)
by_password(maker)
assert client.get_registered_model(model).name == model
ok("MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
signed_in(MLFLOW_TRACKING_TOKEN=token)
assert client.get_registered_model(model).name == model
ok("MLFLOW_TRACKING_TOKEN")
signed_in(MLFLOW_TRACKING_USERNAME="token", MLFLOW_TRACKING_PASSWORD=token)
assert client.get_registered_model(model).name == model
ok("a token as the password of any name")
for login, password in [(maker, PASSWORD), ("token", token)]:
    write_netrc(login, password)
    signed_in(NETRC=netrc)
    assert client.get_registered_model(model).name == model
ok("netrc, with a password and with a token")

by_password(maker)
experiment = client.create_experiment(fresh("secret"))
run = client.create_run(experiment)
client.log_text(run.info.run_id, "weights", "model/weights.txt")
client.log_text(run.info.run_id, "flavors: {}", "model/MLmodel")  # without it 3.x takes the folder for no model
version = mlflow.register_model(f"runs:/{run.info.run_id}/model", model)
assert version.name == model
ok("who may edit one shared model, and not make others, publishes to it by register_model")
refused("PERMISSION_DENIED", client.create_registered_model, f"{shared}.other")
refused("RESOURCE_DOES_NOT_EXIST", client_at(f"/workspaces/{prod}").search_experiments)
ok("and may make no other there, nor see the workspace it is for")

by_password(reader)
client = client_at(f"/workspaces/{prod}")
assert [v.version for v in client.search_model_versions(f"name='{model}'")] == [version.version]
location = client.get_model_version_download_uri(model, version.version)
folder = mlflow.artifacts.download_artifacts(artifact_uri=location, dst_path=tempfile.mkdtemp())
with open(os.path.join(folder, "weights.txt")) as file:
    assert file.read() == "weights"
ok("the other team reads the version and its files")
refused("PERMISSION_DENIED", client.update_registered_model, model, "described")
assert all(found.experiment_id != experiment for found in client.search_experiments())
refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, experiment)
refused("RESOURCE_DOES_NOT_EXIST", client.get_run, run.info.run_id)
refused("RESOURCE_DOES_NOT_EXIST", client_at(f"/workspaces/{dev}").get_run, run.info.run_id)
ok("and sees neither the experiment nor the run it came from")
