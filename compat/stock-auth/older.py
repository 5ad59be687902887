"""What the AuthServiceClient of 2.22 and 3.10 have in common."""

import mlflow
from common import ADMIN, PASSWORD, fresh, ok, refused, sign_in
from mlflow import MlflowClient


def users(auth):
    ann = fresh("ann")
    user = auth.create_user(ann, PASSWORD)
    assert (user.username, user.is_admin, user.experiment_permissions, user.registered_model_permissions) == (ann, False, [], [])
    refused("RESOURCE_ALREADY_EXISTS", auth.create_user, ann, PASSWORD)
    refused("INVALID_PARAMETER_VALUE", auth.create_user, fresh("short"), "short")
    assert auth.get_user(ann).id == user.id
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_user, fresh("nobody"))

    auth.update_user_password(ann, PASSWORD + "2")
    sign_in(ann, PASSWORD + "2")
    assert auth.get_user(ann).id == user.id
    refused("PERMISSION_DENIED", auth.get_user, ADMIN[0])
    refused("PERMISSION_DENIED", auth.create_user, fresh("more"), PASSWORD)
    refused("PERMISSION_DENIED", auth.update_user_admin, ann, True)
    refused("PERMISSION_DENIED", auth.delete_user, ADMIN[0])
    sign_in(*ADMIN)
    auth.update_user_admin(ann, True)
    assert auth.get_user(ann).is_admin
    auth.update_user_admin(ann, False)
    assert not auth.get_user(ann).is_admin
    auth.delete_user(ann)
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_user, ann)
    ok("users: make, get, new password, administrator or not, remove")


def model_permissions(auth):
    ben, model = fresh("ben"), fresh("model")
    auth.create_user(ben, PASSWORD)
    MlflowClient().create_registered_model(model)

    def read():
        return MlflowClient().get_registered_model(model).name

    sign_in(ben)
    refused("RESOURCE_DOES_NOT_EXIST", read)
    sign_in(*ADMIN)
    given = auth.create_registered_model_permission(model, ben, "READ")
    assert (given.name, given.permission, given.user_id) == (model, "READ", auth.get_user(ben).id)
    refused("RESOURCE_ALREADY_EXISTS", auth.create_registered_model_permission, model, ben, "EDIT")
    refused("INVALID_PARAMETER_VALUE", auth.create_registered_model_permission, model, ben, "SEE")
    assert auth.get_registered_model_permission(model, ben).permission == "READ"
    assert [(p.name, p.permission) for p in auth.get_user(ben).registered_model_permissions] == [(model, "READ")]
    sign_in(ben)
    assert read() == model
    refused("PERMISSION_DENIED", MlflowClient().update_registered_model, model, "described")
    refused("PERMISSION_DENIED", auth.get_registered_model_permission, model, ben)
    sign_in(*ADMIN)
    auth.update_registered_model_permission(model, ben, "MANAGE")
    sign_in(ben)
    MlflowClient().update_registered_model(model, "described")
    assert auth.get_registered_model_permission(model, ben).permission == "MANAGE"
    sign_in(*ADMIN)
    auth.update_registered_model_permission(model, ben, "NO_PERMISSIONS")
    assert auth.get_registered_model_permission(model, ben).permission == "NO_PERMISSIONS"
    auth.delete_registered_model_permission(model, ben)
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_registered_model_permission, model, ben)
    refused("RESOURCE_DOES_NOT_EXIST", auth.update_registered_model_permission, model, ben, "READ")
    refused("RESOURCE_DOES_NOT_EXIST", auth.delete_registered_model_permission, model, ben)
    ok("permissions on registered models: make, get, change, take back")


def experiment_permissions(auth):
    cas, experiment = fresh("cas"), mlflow.create_experiment(fresh("experiment"))
    auth.create_user(cas, PASSWORD)
    given = auth.create_experiment_permission(experiment, cas, "READ")
    assert (given.experiment_id, given.permission, given.user_id) == (experiment, "READ", auth.get_user(cas).id)
    refused("RESOURCE_ALREADY_EXISTS", auth.create_experiment_permission, experiment, cas, "EDIT")
    assert auth.get_experiment_permission(experiment, cas).permission == "READ"
    assert [(p.experiment_id, p.permission) for p in auth.get_user(cas).experiment_permissions] == [(experiment, "READ")]
    sign_in(cas)
    assert mlflow.get_experiment(experiment).experiment_id == experiment
    refused("PERMISSION_DENIED", MlflowClient().create_run, experiment)
    sign_in(*ADMIN)
    auth.update_experiment_permission(experiment, cas, "EDIT")
    sign_in(cas)
    MlflowClient().create_run(experiment)
    sign_in(*ADMIN)
    auth.delete_experiment_permission(experiment, cas)
    refused("RESOURCE_DOES_NOT_EXIST", auth.get_experiment_permission, experiment, cas)
    ok("permissions on experiments: make, get, change, take back")
