"""A custom PyFunc with its own artifacts, parameters and code registers and loads like any flavor."""

import json
import tempfile
from pathlib import Path

from common import OtherProcess, ok, same, unique

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature

client = MlflowClient()
name = unique("price-table")
mlflow.set_experiment(unique("custom-pyfunc"))
other_process = OtherProcess()


class PriceTable(mlflow.pyfunc.PythonModel):
    """Looks prices up in a file that is logged with it."""

    def load_context(self, context):
        self.prices = json.loads(Path(context.artifacts["prices"]).read_text())
        self.texts = sorted(path.name for path in Path(context.artifacts["texts"]).rglob("*.txt"))

    def predict(self, context, model_input: pd.DataFrame, params=None):
        factor = (params or {}).get("factor", 1.0)
        return [self.prices[str(key)] * factor for key in model_input["key"]]


rows = pd.DataFrame({"key": [2, 1, 2]})
with tempfile.TemporaryDirectory() as folder:
    prices = Path(folder, "prices äöü.json")  # a name that must survive URLs
    prices.write_text(json.dumps({"1": 10.5, "2": 20.25}))
    texts = Path(folder, "texts", "deep", "deeper")
    texts.mkdir(parents=True)
    (texts / "a.txt").write_text("a")
    (texts.parent / "empty.txt").write_text("")
    signature = infer_signature(rows, [1.0], params={"factor": 1.0})
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=PriceTable(),
            artifacts={"prices": str(prices), "texts": str(Path(folder, "texts"))},
            signature=signature,
            input_example=(rows, {"factor": 1.0}),
            registered_model_name=name,
            pip_requirements=["mlflow", "pandas"],
            metadata={"owner": "pricing"},
        )

client.set_registered_model_alias(name, "champion", "1")
loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
same(loaded.predict(rows), [20.25, 10.5, 20.25], "predictions")
same(loaded.predict(rows, params={"factor": 2.0}), [40.5, 21.0, 40.5], "predictions with a parameter")
same(loaded.unwrap_python_model().texts, ["a.txt", "empty.txt"], "files of the artifact folder")
ok("E11", "a custom PyFunc with load_context and artifacts registers and loads")

with other_process:
    same(other_process.predict(f"models:/{name}@champion", rows), [20.25, 10.5, 20.25], "predictions in another process")
ok("E11", "another process, which does not have the class, loads it")

info = mlflow.models.get_model_info(f"models:/{name}@champion")
same((info.signature, info.metadata), (signature, {"owner": "pricing"}), "signature and metadata")
ok("E11 E4", "signature with params and the metadata are kept")
