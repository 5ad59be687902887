"""Every method of the AuthServiceClient of MLflow 2.22."""

import older
from common import AuthClient, ok

auth = AuthClient()
older.users(auth)
older.model_permissions(auth)
older.experiment_permissions(auth)
assert auth.missed() == set(), auth.missed()
ok("every method of the client was called")
