"""The prompt registry: prompts are registered models in disguise, so they live beside models without getting into each other's way."""

import json

from common import ok, refused, same, unique

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
experiment_id = mlflow.set_experiment(unique("prompts")).experiment_id
name, chat_name, model_name = unique("greeting"), unique("chat"), unique("model")


def load(uri, **kwargs):
    return mlflow.genai.load_prompt(uri, cache_ttl_seconds=0, **kwargs)  # what the server says now


first = mlflow.genai.register_prompt(name, "Hello {{who}}, äöü 漢字!", commit_message="first", tags={"author": "ada"})
second = mlflow.genai.register_prompt(name, "Good day {{who}}!", commit_message="second", tags={"author": "bob", "tone": "polite"})
same((first.version, second.version), (1, 2), "numbers of the versions")
same((first.template, first.commit_message, first.tags), ("Hello {{who}}, äöü 漢字!", "first", {"author": "ada"}), "first version")
read = load(f"prompts:/{name}/1")
same((read.template, read.variables, read.commit_message), (first.template, {"who"}, "first"), "first version read back")
same(read.format(who="you"), "Hello you, äöü 漢字!", "formatted")
same(load(name, version=2).template, "Good day {{who}}!", "by name and version")
same(load(f"prompts:/{name}@latest").version, 2, "the latest")
assert read.creation_timestamp > 1_500_000_000_000, "timestamps are in milliseconds"
ok("P1", "register_prompt and load_prompt keep each version's template, message and tags")

messages = [{"role": "system", "content": "You are {{style}}."}, {"role": "user", "content": "{{question}}"}]
schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
config = {"model_name": "m", "temperature": 0.5, "max_tokens": 10}
mlflow.genai.register_prompt(chat_name, messages, response_format=schema, model_config=config)
chat = load(f"prompts:/{chat_name}/1")
same((chat.template, chat.is_text_prompt, chat.variables), (messages, False, {"style", "question"}), "chat prompt")
same(chat.response_format, schema, "response format")
same({key: chat.model_config[key] for key in config}, config, "model configuration")
long = "x" * 99_000 + "{{end}}"
same(load(f"prompts:/{name}/{mlflow.genai.register_prompt(name, long).version}").template, long, "a long text")
refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, name, "x" * 100_001)
same(len(client.search_prompt_versions(name)), 3, "versions after a text that is too long")
refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, unique("long"), "x" * 100_001)
ok("P1", "chat prompts, response formats, model configurations and long texts")

mlflow.genai.set_prompt_alias(name, "production", 1)
same(load(f"prompts:/{name}@production").version, 1, "by alias")
mlflow.genai.set_prompt_alias(name, "production", 2)
same((load(f"prompts:/{name}@production").version, load(f"prompts:/{name}/2").aliases), (2, ["production"]), "moved alias")
mlflow.genai.delete_prompt_alias(name, "production")
same(load(f"prompts:/{name}@production", allow_missing=True), None, "deleted alias")
refused("INVALID_PARAMETER_VALUE", load, f"prompts:/{name}@production")
same(load(f"prompts:/{name}/77", allow_missing=True), None, "a version that is not there")
same(load(f"prompts:/{unique('nobody')}/1", allow_missing=True), None, "a prompt that is not there")
try:
    load(f"prompts:/{unique('nobody')}/1")
except MlflowException as error:
    assert error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"), f"error of a prompt that is not there: {error!r}"
ok("P2", "prompt aliases move and go; missing ones are told")

mlflow.genai.set_prompt_tag(name, "team", "desk")
mlflow.genai.set_prompt_version_tag(name, 1, "reviewed", "yes")
mlflow.genai.set_prompt_version_tag(name, 1, "draft", "no")
mlflow.genai.delete_prompt_version_tag(name, 1, "draft")
tags = mlflow.genai.get_prompt_tags(name)
same((tags["team"], tags["author"], tags["tone"]), ("desk", "bob", "polite"), "tags")
mlflow.genai.delete_prompt_tag(name, "team")
assert "team" not in mlflow.genai.get_prompt_tags(name), "a deleted tag of the prompt"
same(load(f"prompts:/{name}/1").tags, {"author": "ada", "reviewed": "yes"}, "tags of a version")
mlflow.genai.set_prompt_model_config(name, 1, {"model_name": "later"})
same(load(f"prompts:/{name}/1").model_config["model_name"], "later", "model configuration set later")
mlflow.genai.delete_prompt_model_config(name, 1)
same(load(f"prompts:/{name}/1").model_config, None, "deleted model configuration")
ok("P3", "tags of prompts and of their versions")

client.create_registered_model(model_name, tags={"author": "ada"})
found = mlflow.genai.search_prompts(filter_string=f"name = '{name}'")
same([(prompt.name, prompt.tags["author"]) for prompt in found], [(name, "bob")], "found by name")
names = {prompt.name for prompt in mlflow.genai.search_prompts(filter_string="name LIKE 'greeting-%' AND tags.author = 'bob'")}
assert name in names, f"found by tag: {names}"
pages, token = [], None
while token or not pages:
    pages.append(client.search_prompts(filter_string="name LIKE 'greeting-%'", max_results=1, page_token=token))
    token = pages[-1].token
same(sum(prompt.name == name for page in pages for prompt in page), 1, "times the prompt is on a page")
assert model_name not in {prompt.name for prompt in mlflow.genai.search_prompts()}, "models are no prompts"
same([model.name for model in client.search_registered_models(f"name IN ('{name}', '{model_name}')")], [model_name], "prompts are no models")
same(client.search_model_versions(f"name = '{name}'"), [], "versions of prompts are no model versions")
same([version.version for version in client.search_prompt_versions(name)], [3, 2, 1], "versions of a prompt")
same([version.version for version in client.search_prompt_versions(name, max_results=2)], [3, 2], "a page of versions")
ok("P4", "search_prompts finds prompts only, searches for models find none of them")

refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, model_name, "text")
same("prompt" in refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, name), True, "the message names the prompt")
refused("INVALID_PARAMETER_VALUE", mlflow.genai.register_prompt, "a/b", "text")
for call in (client.get_registered_model, client.delete_registered_model):
    refused("RESOURCE_DOES_NOT_EXIST", call, name)
same(client.get_prompt(name).name, name, "the prompt after calls for a model of its name")
ok("P4", "a model and a prompt cannot share a name")

with mlflow.start_run() as run:
    client.link_prompt_version_to_run(run.info.run_id, f"prompts:/{name}/1")
    client.link_prompt_version_to_run(run.info.run_id, f"prompts:/{name}/2")
linked = json.loads(client.get_run(run.info.run_id).data.tags["mlflow.linkedPrompts"])
same([(prompt["name"], prompt["version"]) for prompt in linked], [(name, "1"), (name, "2")], "prompts of the run")
model = mlflow.initialize_logged_model(name="uses-a-prompt")
client.link_prompt_version_to_model(name, "1", model.model_id)
assert name in mlflow.get_logged_model(model.model_id).tags["mlflow.linkedPrompts"], "prompt linked to a logged model"
ok("P5", "prompts are linked to runs and logged models")

client.delete_prompt_version(name, "2")
same(load(f"prompts:/{name}/2", allow_missing=True), None, "a deleted version")
same(load(f"prompts:/{name}/1").version, 1, "the version beside it")
same(mlflow.genai.register_prompt(name, "again").version, 4, "number of the version after a deleted one")
client.delete_prompt(name)
same(client.get_prompt(name), None, "a deleted prompt")
same(mlflow.genai.register_prompt(name, "anew").version, 1, "version of a prompt made again")
ok("P6", "versions and prompts are deleted")
