"""search_registered_models and search_model_versions: filters, order and paging."""

from common import ok, refused, same, unique

from mlflow import MlflowClient

client = MlflowClient()
prefix = unique("search")
source = "s3://bucket/model"  # nothing is loaded here, so the files need not exist
names = [f"{prefix}-{word}" for word in ("Apple", "banana", "cherry", "date", "elder")]
for number, name in enumerate(names):
    client.create_registered_model(name, tags={"parity": "odd" if number % 2 else "even"})
    client.create_model_version(name, source, tags={"n": str(number)})
client.delete_registered_model_tag(names[4], "parity")


def models(filter_string, **kwargs):
    return [model.name for model in client.search_registered_models(filter_string, **kwargs)]


like = f"name LIKE '{prefix}%'"
same(models(like), names, "all, ordered by name")
same(models(f"name = '{names[1]}'"), [names[1]], "name =")
same(models(f"name ILIKE '{prefix}-a%'"), [names[0]], "name ILIKE")
same(models(f"name LIKE '{prefix}-a%'"), [], "name LIKE, which minds the case")
same(models(f"{like} AND tags.parity = 'odd'"), [names[1], names[3]], "tags =")
same(models(f"{like} AND tags.parity LIKE 'e%' and name != '{names[0]}'"), [names[2]], "tags LIKE and name !=")
same(models(f"{like} AND tag.parity != 'odd'"), [names[0], names[2]], "tag !=, for models that have the tag")
same(models(like, order_by=["name DESC"], max_results=2), [names[4], names[3]], "order_by name DESC")
ok("T13", "search_registered_models filters by name and tags")

client.update_registered_model(names[2], "touched last")
same(models(like, order_by=["last_updated_timestamp DESC"])[0], names[2], "order by last_updated_timestamp")
page = client.search_registered_models(like, max_results=2)
found = [model.name for model in page]
while page.token:
    page = client.search_registered_models(like, max_results=2, page_token=page.token)
    found += [model.name for model in page]
same(found, names, "all pages together")
ok("E5", "search_registered_models orders and pages")

name = names[0]
for number in range(2, 6):
    client.create_model_version(name, f"s3://bucket/{number}", tags={"n": str(number)}, run_id="f" * 32 if number == 4 else None)


def versions(filter_string, **kwargs):
    return [int(version.version) for version in client.search_model_versions(filter_string, **kwargs)]


same(sorted(versions(f"name='{name}'")), [1, 2, 3, 4, 5], "name =")
same(len(versions(like, max_results=100)), 9, "name LIKE over all models")
same(versions(f"name='{name}' AND version_number >= 3", order_by=["version_number ASC"]), [3, 4, 5], "version_number >=")
same(versions(f"name='{name}'", max_results=1, order_by=["version_number DESC"]), [5], "the newest")
same(versions(f"name='{name}' AND source_path = 's3://bucket/3'"), [3], "source_path =")
same(versions(f"name='{name}' AND tags.n = '2'"), [2], "tags =")
same(versions("name='%s' AND run_id IN ('%s', 'x')" % (name, "f" * 32)), [4], "run_id IN")
client.update_model_version(name, "2", "touched last")
same(versions(f"name='{name}'")[0], 2, "the version updated last comes first")
ok("E5", "search_model_versions filters by name, number, source, run and tags")

page = client.search_model_versions(f"name='{name}'", max_results=2, order_by=["version_number ASC"])
found = [int(version.version) for version in page]
while page.token:
    page = client.search_model_versions(f"name='{name}'", max_results=2, order_by=["version_number ASC"], page_token=page.token)
    found += [int(version.version) for version in page]
same(found, [1, 2, 3, 4, 5], "all pages together")
ok("E5", "search_model_versions orders and pages")

client.set_registered_model_alias(name, "champion", "3")
[model] = client.search_registered_models(f"name='{name}'")
same(model.aliases, {"champion": "3"}, "aliases of a found model")
same([version.version for version in model.latest_versions], ["5"], "latest versions of a found model")
ok("E5", "a found registered model has its aliases and latest versions")

for bad in ("name = nobody", "stage = 'Production'", "name ~ 'a'", f"name = '{name}' OR name = 'b'"):
    refused("INVALID_PARAMETER_VALUE", client.search_registered_models, bad)
refused("INVALID_PARAMETER_VALUE", client.search_model_versions, "colour = 'red'")
refused("INVALID_PARAMETER_VALUE", client.search_model_versions, f"name='{name}'", order_by=["colour DESC"])
ok("T14", "what cannot be searched for is refused with INVALID_PARAMETER_VALUE")
