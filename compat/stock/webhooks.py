"""
Webhooks: the stock client makes, lists, changes, tests and deletes them, and a receiver in this process gets what they
are sent. The server must run with MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https and MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true,
since the receiver is on this machine; a stock one also with MLFLOW_WEBHOOK_CACHE_TTL=0, or it may miss a new webhook.
"""

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from common import ok, refused, same, unique

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import VALID_ENTITY_ACTIONS, WebhookEntity, WebhookEvent
from mlflow.webhooks.types import get_example_payload_for_event, get_payload_class_for_event

client = MlflowClient()
received = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        received.put((self.headers, raw))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"thanks")

    def log_message(self, *_):
        pass


receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{receiver.server_port}/hook"
SECRET = "a secret of the two"


def next_event(names):
    """The event of the next request that is about one of these names, its data, and the request; others may use the server too."""
    while True:
        headers, raw = received.get(timeout=15)
        body = json.loads(raw)
        if body["data"].get("name") in names:
            return f"{body['entity']}.{body['action']}", body["data"], headers, raw


events = [
    WebhookEvent(entity, action)
    for entity, actions in VALID_ENTITY_ACTIONS.items()
    for action in actions
    if entity != WebhookEntity.BUDGET_POLICY
]
webhook = client.create_webhook(unique("hook"), url, events, description="for the test", secret=SECRET)
same({str(event) for event in webhook.events}, {str(event) for event in events}, "events of the new webhook")
same((webhook.url, webhook.description, webhook.status.value, webhook.secret), (url, "for the test", "ACTIVE", None), "the new webhook")
same(client.get_webhook(webhook.webhook_id).name, webhook.name, "name by get_webhook")
assert webhook.webhook_id in {one.webhook_id for one in client.list_webhooks(max_results=1000)}, "list_webhooks has the new webhook"
ok("W1", "create_webhook, get_webhook and list_webhooks agree, and never give the secret")

for event in events:
    result = client.test_webhook(webhook.webhook_id, event)
    same((result.success, result.response_status, result.response_body), (True, 200, "thanks"), f"test of {event}")
    example = get_example_payload_for_event(event)
    same(next_event({example["name"]})[:2], (str(event), example), f"what the test of {event} sends")
ok("W2", "test_webhook sends the example of each event and tells what the receiver answered")

name = unique("model")
prompt = unique("prompt")
version = {"name": name, "version": "1"}
prompt_version = {"name": prompt, "version": "1"}
changes = [
    (
        lambda: client.create_registered_model(name, tags={"a": "b"}, description="d"),
        "registered_model.created",
        {"name": name, "tags": {"a": "b"}, "description": "d"},
    ),
    (
        lambda: client.create_model_version(name, "s3://bucket/model", tags={"c": "d"}),
        "model_version.created",
        {**version, "source": "s3://bucket/model", "run_id": None, "tags": {"c": "d"}, "description": None},
    ),
    (lambda: client.set_model_version_tag(name, "1", "k", "v"), "model_version_tag.set", {**version, "key": "k", "value": "v"}),
    (lambda: client.delete_model_version_tag(name, "1", "k"), "model_version_tag.deleted", {**version, "key": "k"}),
    (lambda: client.set_registered_model_alias(name, "x", "1"), "model_version_alias.created", {**version, "alias": "x"}),
    (lambda: client.delete_registered_model_alias(name, "x"), "model_version_alias.deleted", {"name": name, "alias": "x"}),
    (lambda: client.create_prompt(prompt, tags={"a": "b"}), "prompt.created", {"name": prompt, "tags": {"a": "b"}, "description": ""}),
    (
        lambda: client.create_prompt_version(prompt, "Hello {{name}}", description="d", tags={"by": "us"}),
        "prompt_version.created",
        {**prompt_version, "template": "Hello {{name}}", "tags": {"by": "us"}, "description": "d"},
    ),
    (lambda: client.set_prompt_tag(prompt, "k", "v"), "prompt_tag.set", {"name": prompt, "key": "k", "value": "v"}),
    (lambda: client.delete_prompt_tag(prompt, "k"), "prompt_tag.deleted", {"name": prompt, "key": "k"}),
    (lambda: client.set_prompt_version_tag(prompt, 1, "k", "v"), "prompt_version_tag.set", {**prompt_version, "key": "k", "value": "v"}),
    (lambda: client.delete_prompt_version_tag(prompt, 1, "k"), "prompt_version_tag.deleted", {**prompt_version, "key": "k"}),
    (lambda: client.set_prompt_alias(prompt, "x", 1), "prompt_alias.created", {**prompt_version, "alias": "x"}),
    (lambda: client.delete_prompt_alias(prompt, "x"), "prompt_alias.deleted", {"name": prompt, "alias": "x"}),
]
ids = set()
for change, event, data in changes:
    change()
    got, sent, headers, raw = next_event({name, prompt})
    same((got, sent), (event, data), f"what {event} sends")
    same(set(sent), set(get_payload_class_for_event(WebhookEvent.from_str(event)).__annotations__), f"fields of {event} in mlflow.webhooks.types")
    delivery, timestamp = headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"]
    signed = f"{delivery}.{timestamp}.".encode() + raw
    expected = "v1," + base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    same(headers["X-MLflow-Signature"], expected, f"signature of {event}")
    assert abs(time.time() - int(timestamp)) < 60, f"the time of {event} is {timestamp}"
    ids.add(delivery)
same(len(ids), len(changes), "number of different delivery ids")
ok("W3", "each change of a model, a version and a prompt is sent, signed, as mlflow.webhooks.types says")

registered = unique("greeting")
mlflow.genai.register_prompt(registered, "Hello {{name}}", commit_message="first")
told = set()
while not {"prompt.created", "prompt_version.created"} <= told:  # in any order, among those of its tags
    told.add(next_event({registered})[0])
ok("W3", "mlflow.genai.register_prompt is told as a prompt's")

changed = client.update_webhook(webhook.webhook_id, name=unique("other"), events=["registered_model.created"], status="DISABLED")
same(([str(event) for event in changed.events], changed.status.value), (["registered_model.created"], "DISABLED"), "changed webhook")
unheard = unique("unheard")
client.create_registered_model(unheard)
client.update_webhook(webhook.webhook_id, status="ACTIVE")
heard = unique("heard")
client.create_registered_model(heard)
models = []
while heard not in models:
    body = json.loads(received.get(timeout=15)[1])
    if body["entity"] == "registered_model":
        models.append(body["data"]["name"])
assert unheard not in models, "a disabled webhook was told of a change"
ok("W4", "update_webhook changes what is sent; a disabled webhook is sent nothing")

assert "a b" in refused("INVALID_PARAMETER_VALUE", client.create_webhook, "a b", url, events)
refused("INVALID_PARAMETER_VALUE", client.create_webhook, "a", "ftp://127.0.0.1/", events)
client.delete_webhook(webhook.webhook_id)
refused("RESOURCE_DOES_NOT_EXIST", client.get_webhook, webhook.webhook_id)
refused("RESOURCE_DOES_NOT_EXIST", client.delete_webhook, webhook.webhook_id)
ok("W5", "delete_webhook deletes it; bad names and URLs and unknown webhooks are refused")
receiver.shutdown()
