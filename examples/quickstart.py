import os

import mlflow
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"))
mlflow.set_experiment("quickstart")
client = mlflow.MlflowClient()
X, y = load_diabetes(return_X_y=True, as_frame=True)


def train(alpha):
    """Trains a model, registers it as the next version of "quickstart", and returns the version."""
    with mlflow.start_run():
        mlflow.log_param("alpha", alpha)
        model = Ridge(alpha=alpha).fit(X, y)
        mlflow.log_metric("r2", model.score(X, y))
        info = mlflow.sklearn.log_model(model, name="model", input_example=X[:3], registered_model_name="quickstart")
    print(f"Trained version {info.registered_model_version} with alpha={alpha}")
    return info.registered_model_version


def release(version):
    """Makes the version the champion, and predicts as any program that loads the champion now would."""
    client.set_registered_model_alias("quickstart", "champion", version)
    model = mlflow.pyfunc.load_model("models:/quickstart@champion")
    print(f"  champion is version {version}, it predicts {model.predict(X[:3]).round(1)}")


first = train(alpha=0.1)
release(first)
second = train(alpha=10.0)
release(second)
print("Rolled back:")
release(first)
