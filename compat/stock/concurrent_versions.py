"""Sixteen writers at once create versions of one model: the numbers are 1..N, none missing, none twice."""

from concurrent.futures import ThreadPoolExecutor

from common import ok, same, unique

from mlflow import MlflowClient

WRITERS = 16
EACH = 5

name = unique("crowded")
MlflowClient().create_registered_model(name)


def write(writer):
    client = MlflowClient()
    made = [client.create_model_version(name, "s3://bucket/model", tags={"writer": str(writer)}) for _ in range(EACH)]
    return [int(version.version) for version in made]


with ThreadPoolExecutor(WRITERS) as pool:
    numbers = sorted(number for made in pool.map(write, range(WRITERS)) for number in made)

expected = list(range(1, WRITERS * EACH + 1))
same(numbers, expected, "version numbers handed out")
found = MlflowClient().search_model_versions(f"name='{name}'", order_by=["version_number ASC"])
same([int(version.version) for version in found], expected, "versions found")
for version in found:
    assert "writer" in version.tags, f"version {version.version} lost its tag"
ok("D1", f"{WRITERS} threads create {WRITERS * EACH} versions: exactly 1..{WRITERS * EACH}")

MlflowClient().set_registered_model_alias(name, "champion", "1")


def point(writer):
    MlflowClient().set_registered_model_alias(name, "champion", str(writer + 1))
    return MlflowClient().get_model_version_by_alias(name, "champion").version


with ThreadPoolExecutor(WRITERS) as pool:
    seen = list(pool.map(point, range(WRITERS)))
for version in seen:
    assert 1 <= int(version) <= WRITERS, f"the alias pointed at {version}, which nobody set"
assert MlflowClient().get_registered_model(name).aliases["champion"] in {str(writer + 1) for writer in range(WRITERS)}
ok("E6", f"{WRITERS} threads move one alias at once: it always points at a version somebody set")
