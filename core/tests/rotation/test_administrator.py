"""Who may sign for a user in place of the user's own key."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import CallerIdentity, Credentials, KeyRequest, Secret
from vault_core.errors import ConfigError, CredentialsRefused, UsageError
from vault_core.rotation.aws import User, user_of
from vault_core.rotation.many import Rotations

KEY = Credentials(access_key_id="AKIASTORED", secret_access_key=Secret("s"))
ADMIN = Credentials(access_key_id="ASIAADMIN", secret_access_key=Secret("s"), session_token=Secret("t"))


def user(accounts: dict[str, str | None]) -> User:
    """The user whose keys are meant.

    :param accounts: the account of each key; None: AWS refuses the key.
    """

    def identify(source: Credentials) -> CallerIdentity:
        account = accounts[source.access_key_id]
        if account is None:
            raise CredentialsRefused("it is inactive")
        return CallerIdentity(account=account, arn=f"arn:aws:iam::{account}:user/people/alice")

    def request(source: Credentials, user: str | None) -> KeyRequest:
        return KeyRequest(parameters={}, source=source, deadline=0, user=user)

    keys = SimpleNamespace(owner_of=lambda request, key: f"the owner of {key}, says {request.source.access_key_id}")
    aws: Any = SimpleNamespace(identify=identify, request=request, keys=keys)
    rotations: Any = SimpleNamespace(admin="boss")
    return Rotations._user_by_admin(rotations, aws, KEY, ADMIN)


def test_administrator_of_the_account_signs() -> None:
    assert user({"AKIASTORED": "111111111111", "ASIAADMIN": "111111111111"}) == User("111111111111", "alice")


def test_administrator_of_another_account_is_refused() -> None:
    """Else keys of a user of the same name there would be made, deactivated and deleted."""
    with pytest.raises(UsageError, match="'boss' is of account 222222222222, and AKIASTORED of account 111111111111"):
        user({"AKIASTORED": "111111111111", "ASIAADMIN": "222222222222"})


def test_inactive_key_is_whose_the_administrators_account_says() -> None:
    found = user({"AKIASTORED": None, "ASIAADMIN": "111111111111"})
    assert found == User("111111111111", "the owner of AKIASTORED, says ASIAADMIN")


@pytest.mark.parametrize("what", ["assumed-role/Reader/bob", "federated-user/bob", "user/", "root"])
def test_key_of_anybody_but_a_user_is_refused(what: str) -> None:
    """The name of a role's session is whatever its caller chose: it may be that of a user."""
    prefix = "arn:aws:sts::111111111111:" if what.startswith(("assumed", "federated")) else "arn:aws:iam::111111111111:"
    with pytest.raises(ConfigError, match=r"which is not an IAM user|is a key of the root user"):
        user_of(CallerIdentity(account="111111111111", arn=prefix + what), "AKIASTORED")
