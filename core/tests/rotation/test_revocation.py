"""Whose credentials sign a revocation, where several profiles are given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import Credentials, KeyRequest, Secret
from vault_core.errors import AccessDenied
from vault_core.rotation.inventory_file import Listed
from vault_core.rotation.revoke import Admin, Revocation, Revoked

HERE, THERE = "111111111111", "222222222222"
OPEN = [
    Revoked(kind="key", subject="AKIABOB", account=HERE, user="bob", admin="first", state="active"),
    Revoked(kind="user", subject="bob", account=HERE, admin="first", state="not revoked"),
    Revoked(kind="role", subject=f"arn:aws:iam::{HERE}:role/R", account=HERE, admin="first", state="not revoked"),
]


class Keys:
    """IAM, as one profile sees it: notes what it is asked to change."""

    def __init__(self, *, may: bool) -> None:
        self.may = may
        self.changed: list[str] = []

    def set_active(self, request: KeyRequest, key_id: str, *, active: bool) -> None:
        self._change(key_id)

    def revoke_sessions(self, request: KeyRequest, before: object, *, role: str | None = None) -> None:
        self._change(role or str(request.user))

    def _change(self, subject: str) -> None:
        self.changed.append(subject)
        if not self.may:
            raise AccessDenied("may not")


def admin(profile: str, account: str, keys: Keys) -> Admin:
    source = Credentials(access_key_id=f"AKIA{profile.upper()}", secret_access_key=Secret("s"))

    def request(source: Credentials, user: str | None) -> KeyRequest:
        return KeyRequest(parameters={}, source=source, deadline=0, user=user)

    aws: Any = SimpleNamespace(keys=keys, request=request)
    return Admin(profile, account, ("user", profile), source, aws)


def perform(one: Revoked, *admins: Admin) -> Revoked:
    nothing: Any = None
    [outcome] = Revocation(nothing, admins, Listed(keys=(), roles=()), lambda line: None).perform([one])
    return outcome


@pytest.mark.parametrize("one", OPEN, ids=lambda one: one.kind)
def test_what_fails_is_never_tried_in_another_account(one: Revoked) -> None:
    """A user or a role of the same name may be there, and has nothing to do with it."""
    first, elsewhere = Keys(may=False), Keys(may=True)
    outcome = perform(one, admin("elsewhere", THERE, elsewhere), admin("first", HERE, first))
    assert (outcome.state, outcome.admin) == ("failed", "first")
    assert len(first.changed) == 1
    assert elsewhere.changed == []


@pytest.mark.parametrize("one", OPEN, ids=lambda one: one.kind)
def test_what_one_profile_may_not_the_next_of_the_account_does(one: Revoked) -> None:
    first, second = Keys(may=False), Keys(may=True)
    outcome = perform(one, admin("second", HERE, second), admin("first", HERE, first))
    assert (outcome.state, outcome.admin) == ("inactive" if one.kind == "key" else "revoked", "second")
    assert first.changed == second.changed


@pytest.mark.parametrize(("account", "owned"), [(HERE, True), (THERE, False)])
def test_signer_owns_its_user_only_in_its_own_account(account: str, owned: bool) -> None:
    one = Revoked(kind="user", subject="bob", account=account, admin="bob", state="not revoked")
    assert admin("bob", HERE, Keys(may=True)).owns(one) is owned
