"""Settings and responses without a server: identity, precedence, retries, and what is shown."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vault_core.api import ConfigError, PassphraseError, Secret, StorageLocked
from vault_plugin_hashicorp import client, credentials, fields, passphrase, server, store
from vault_plugin_hashicorp.login import Identity, Login
from vault_testkit import FakeContext

Make = Callable[..., FakeContext]
HERE = {"VAULT_ADDR": "https://vault.example.test:8200"}


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [(1, 1), (0.5, 0.5), (0, 0), (-1, 0), (1e10, 0), (9e9, 9e9), ("5", 0), (None, 0), (float("nan"), 0)],
)
def test_implausible_seconds_are_zero(value: Any, found: float) -> None:
    assert fields.seconds({"ttl": value}, "ttl") == found


def test_field_of_wrong_type_is_missing() -> None:
    for odd in (None, 1, ["x"]):
        assert (fields.text({"x": odd}, "x"), fields.inner({"x": odd}, "x")) == ("", {})
    assert (fields.text({"x": "y"}, "x"), fields.inner({"x": {"y": 1}}, "x")) == ("y", {"y": 1})


class Answer(SimpleNamespace):
    """A response of the server."""

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def ok(self) -> bool:
        return bool(self.status_code < 400)


@pytest.mark.parametrize(
    ("status", "text", "ours"),
    [
        (200, "{}", True),
        (200, "[]", False),
        (200, "<html>", False),
        (404, "{}", False),
        (404, '{"errors": []}', True),
        (404, '{"data": {}}', True),
        (403, '{"error": "x"}', False),
        (400, "[" * 10_000, False),
    ],
)
def test_response_of_vault_is_recognised(status: int, text: str, ours: bool) -> None:
    assert client._is_ours(Answer(status_code=status, text=text)) is ours


def trying(answer: Answer | Exception) -> Any:
    made = client.VaultClient.__new__(client.VaultClient)
    made.hvac = SimpleNamespace(adapter=SimpleNamespace(base_uri="https://a"))

    def ask(_client: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made._wait = lambda function: function()  # type: ignore[assignment, method-assign]  # at once, in this one client
    return made._try(ask)


@pytest.mark.parametrize("status", [412, 429, 472, 473, 500, 502, 503, 504])
def test_temporary_status_is_retried(status: int) -> None:
    found = trying(Answer(status_code=status, text='{"errors": ["x"]}'))
    assert "cannot serve requests now" in found.message
    assert not isinstance(found, StorageLocked)


@pytest.mark.parametrize(
    ("status", "text"), [(400, "x"), (403, "x"), (404, "x"), (405, "x"), (501, "x"), (200, "sealed")]
)
def test_other_status_is_returned(status: int, text: str) -> None:
    answer = Answer(status_code=status, text=json.dumps({"errors": [text]}))
    assert trying(answer) is answer


def test_sealed_is_locked_and_upgrading_mount_is_retried() -> None:
    assert isinstance(trying(Answer(status_code=503, text='{"errors": ["Vault is SEALED"]}')), StorageLocked)
    text = '{"errors": ["Upgrading from non-versioned to versioned data."]}'
    assert "cannot serve" in trying(Answer(status_code=400, text=text)).message
    empty = Answer(status_code=204, text="")
    assert trying(empty) is empty


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "/a/", "a/b.c", "_-/x", ""])
def test_folder_accepts_valid_paths(text: str) -> None:
    assert server.folder(text) == text.strip("/")


@pytest.mark.parametrize("text", ["a..b", "..", ".a", "a/.b", "a.", "a/b.", "a b", "a//b", "a\n", "ä"])
def test_folder_refuses_paths_that_server_would_rename(text: str) -> None:
    with pytest.raises(ValueError, match="joined by"):
        server.folder(text)


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://a", True),
        ("http://a:8200", True),
        ("https://[::1]:1", True),
        ("ftp://a", False),
        ("https://", False),
        ("https://me@a", False),
        ("https://me:pw@a", False),
        ("https://a?x", False),
        ("https://a#x", False),
        ("https://[::1", False),
        ("a:8200", False),
    ],
)
def test_names_a_server_accepts_only_server_urls(address: str, good: bool) -> None:
    assert server.names_a_server(address) is good


def test_addresses_are_split_and_passwords_are_not_shown(context: Make) -> None:
    found = server.addresses(context({"VAULT_ADDR": " https://a/ ,,https://b// "}))
    assert found == ("https://a", "https://b")
    assert server.addresses(context({})) == ()
    with pytest.raises(ConfigError) as caught:
        server.addresses(context({"VAULT_ADDR": "https://me:hunter2@a?hunter2"}))
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://vault.example.test:8200/v1/x", True),
        ("https://VAULT.example.test:8200", True),
        ("http://vault.example.test:8200", False),
        ("https://vault.example.test", False),
        ("https://vault.example.test:8201", False),
        ("https://other.example.test:8200", False),
        ("https://plain.example.test:443/", True),
        ("https://plain.example.test", True),
    ],
)
def test_is_ours_compares_origin(context: Make, url: str, ours: bool) -> None:
    made = server.server(context({"VAULT_ADDR": "https://vault.example.test:8200,https://plain.example.test"}))
    assert made.is_ours(url) is ours


def test_plain_http_is_refused_for_every_member(context: Make) -> None:
    for address in ("http://a.example", "https://b.example,http://a.example"):
        with pytest.raises(ConfigError):
            server.server(context({"VAULT_ADDR": address}))


@pytest.mark.parametrize(
    ("environ", "verify"),
    [
        ({}, True),
        ({"VAULT_SKIP_VERIFY": "true"}, False),
        ({"VAULT_SKIP_VERIFY": "0"}, True),
        ({"BAO_SKIP_VERIFY": "1"}, False),
    ],
)
def test_verify_is_on_unless_skipped(context: Make, environ: dict[str, str], verify: bool) -> None:
    assert server.server(context({**HERE, **environ})).verify is verify
    with pytest.raises(ConfigError, match="must be true or false"):
        server.server(context({**HERE, "VAULT_SKIP_VERIFY": "perhaps"}))


def test_ca_may_be_folder_and_certificate_may_not(context: Make, tmp_path: Path) -> None:
    assert server.server(context({**HERE, "VAULT_CAPATH": str(tmp_path)})).verify == str(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no file .* with the client certificate"):
        server.server(context({**HERE, "VAULT_CLIENT_CERT": str(tmp_path)}))
    (tmp_path / "both.pem").touch()
    both = str(tmp_path / "both.pem")
    assert server.server(context({**HERE, "VAULT_CLIENT_CERT": "~/both.pem"})).certificate == (both, both)
    assert server.server(context({**HERE, "VAULT_CLIENT_KEY": both})).certificate is None


# -- who we are --------------------------------------------------------------------------------------------------------


def jwt(**claims: Any) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


def test_new_jwt_of_same_bearer_is_same_principal(context: Make, tmp_path: Path) -> None:
    file = tmp_path / "jwt"

    def who(text: str, **options: str) -> str:
        file.write_text(text)
        return credentials.whose(context(HERE, auth="jwt", **{"role": "r", "jwt_file": str(file), **options}))

    one = who(jwt(sub="a", exp=1, iat=1, nbf=1, jti="1"))
    assert who(jwt(sub="a", exp=2, iat=3, nbf=4, jti="5")) == one
    others = {who(jwt(sub="b")), who(jwt(sub="a", aud="x")), who("no token"), who("other"), who(jwt(sub="a"), role="q")}
    assert len(others | {one}) == 6
    file.unlink()
    assert '"-"' in credentials.whose(context(HERE, auth="jwt", role="r", jwt_file=str(file)))


@pytest.mark.parametrize(("method", "name"), [("approle", "role_id"), ("userpass", "username")])
def test_principal_of_login_has_name_and_mount(context: Make, method: str, name: str) -> None:
    found = {
        credentials.whose(context(HERE, auth=method, **{name: who}, **mount))
        for who in ("a", "b")
        for mount in ({}, {"auth_mount": "m"})
    }
    assert len(found) == 4


def test_principal_of_token_is_digest(context: Make) -> None:
    one, other = (credentials.whose(context({**HERE, "VAULT_TOKEN": token})) for token in ("s.one", "s.two"))
    assert one != other
    assert "s.one" not in one
    assert credentials.whose(context(HERE)) == "token -"
    assert credentials.whose(context({**HERE, "VAULT_TOKEN": "two words"})) == "token -"


def test_find_token_uses_first_place(context: Make, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("home\n")
    (tmp_path / "named").write_text(" named \n")
    assert credentials.find_token(context(HERE)) == Secret("home")
    assert credentials.find_token(context({**HERE, "VAULT_TOKEN": " env "})) == Secret("env")
    assert credentials.find_token(context({**HERE, "VAULT_TOKEN": "v", "BAO_TOKEN": "b"})) == Secret("b")
    named = context({**HERE, "VAULT_TOKEN": "env"}, token_file="~/named")
    assert credentials.find_token(named) == Secret("named")
    (tmp_path / "named").write_text("")
    assert credentials.find_token(named) is None
    for bad in ("a b", "a\nb", "\x7f", "ä"):
        (tmp_path / "named").write_text(bad)
        with pytest.raises(ConfigError, match="is not a token") as caught:
            credentials.find_token(named)
        assert bad not in caught.value.message


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "ä", "A-z_0", "a\n", "\U0001f511", "\ud7ff"])
def test_own_folders_of_names_are_safe_and_unique(name: str) -> None:
    folder = store.own_folder(Identity("", name))
    assert folder.startswith("name-")
    assert server.folder(folder or "x") == folder or name == ""
    assert folder not in {store.own_folder(Identity("", other)) for other in ("a.2fb", "a2fb", "a_b")}
    assert store.own_folder(Identity("e-1", name)) == "e-1"


@pytest.mark.parametrize(("text", "shown"), [("a\nb\x1b", "a?b?"), ("x" * 65, "x" * 64), ("ä\u202e", "ä?")])
def test_shown_name_is_short_and_printable(text: str, shown: str) -> None:
    assert server.shown(text) == shown


@pytest.mark.parametrize(("entity", "name"), [("e2", "ana"), ("", "bob")])
def test_token_of_another_identity_is_dropped(entity: str, name: str) -> None:
    login = Login.__new__(Login)
    login.identity = Identity("e1", "ana") if entity else Identity("", "ana")
    login._client = SimpleNamespace(hvac=SimpleNamespace(token="t"), address="a")  # type: ignore[assignment]  # it has what is used of a client
    login._look_up = lambda: Identity(entity, name)  # type: ignore[method-assign]  # of this one login
    with pytest.raises(StorageLocked, match="belongs to another identity now"):
        login._look_up_again()
    assert login._client.hvac.token == ""
    login.identity = Identity(entity, "another name") if entity else Identity("", name)
    login._look_up_again()


@pytest.mark.parametrize("method", ["token", "approle"])
def test_token_replaced_by_another_thread_is_kept(method: str) -> None:
    login = Login.__new__(Login)
    login._lock, login._method = threading.RLock(), method
    login._client = SimpleNamespace(hvac=SimpleNamespace(token="new"), address="a")  # type: ignore[assignment]  # it has what is used of a client
    login._reload = lambda: False  # type: ignore[method-assign]  # of this one login
    replaced: list[str] = []
    login._obtain = lambda: replaced.append("obtained")  # type: ignore[method-assign]  # of this one login
    login._look_up_again = lambda: replaced.append("looked up")  # type: ignore[method-assign]  # of this one login
    login._replace("old")
    assert replaced == []


def test_login_sends_no_old_token() -> None:
    login, sent = Login.__new__(Login), []
    client = SimpleNamespace(token="old")

    def send(_request: object) -> SimpleNamespace:
        sent.append(client.token)
        return SimpleNamespace(status_code=200, json=lambda: {"auth": {"client_token": "new"}})

    login._method, login.logins = "approle", 0
    login._client = SimpleNamespace(hvac=client, send=send, address="a")  # type: ignore[assignment]  # it has what is used of a client
    login._request = lambda: None  # type: ignore[method-assign,assignment,return-value]  # of this one login
    login._obtain()
    assert (sent, client.token) == ([""], "new")


def test_refused_password_is_not_sent_again() -> None:
    login = Login.__new__(Login)
    login._method, login._password = "userpass", Secret("wrong")
    login._context = SimpleNamespace(options={"auth": "userpass", "auth-mount": ""})
    login._client = SimpleNamespace(address="a")  # type: ignore[assignment]  # it has what is used of a client
    assert "refuses the name or password" in login._refused(SimpleNamespace(status_code=400)).message
    assert login._password is None


# -- kept keys ---------------------------------------------------------------------------------------------------------


def test_kept_key_must_be_strict_base64() -> None:
    assert passphrase._decoded(Secret("AAEC")) == Secret(b"\0\1\2")
    for odd in ("AAE", "AA EC", "AAEC\n", "!!!!"):
        with pytest.raises(PassphraseError, match="not written by awsv"):
            passphrase._decoded(Secret(odd))


def test_item_of_lock_is_digest_of_key_id() -> None:
    keys = [passphrase._key(SimpleNamespace(key_id=name)) for name in ("a/1", "a/2", "A/1")]  # type: ignore[arg-type]  # it has what is used of a request
    assert len(set(keys)) == 3
    assert all(len(key) == len("slot/") + 64 for key in keys)
