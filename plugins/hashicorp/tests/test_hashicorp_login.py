"""The login to the server: tokens from where Vault's own programs keep them, auth methods, renewal."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.openbao import Refused, Server, approle, works
from vault_core.api import (
    ConfigError,
    PassphraseRequest,
    Secret,
    SourceUnavailable,
    StorageDenied,
    StorageError,
    StorageLocked,
    VaultError,
)
from vault_plugin_hashicorp.credentials import whose
from vault_testkit import FakeContext

Open = Callable[..., Any]


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["VAULT_TOKEN", "BAO_TOKEN", "home", "token-file"])
def test_token_is_found_in_usual_places(
    where: str, openbao: Server, name: str, tmp_path: Path, open_store: Open
) -> None:
    token = openbao.person(name)
    environ, options = {"VAULT_ADDR": openbao.url}, {}
    match where:
        case "home":
            (tmp_path / ".vault-token").write_text(f"{token}\n")
        case "token-file":
            (tmp_path / "sink").write_text(token)
            options["token_file"] = "~/sink"
            environ["VAULT_TOKEN"] = "not-this-one"
        case _:
            environ[where] = token
    store, _ = open_store(environ, **options)
    assert store.service.identity.display_name == name
    assert works(store)


def test_token_of_the_user_outlives_the_store(openbao: Server, name: str, open_store: Open) -> None:
    token = openbao.person(name)
    store, _ = open_store({"VAULT_ADDR": openbao.url, "VAULT_TOKEN": token})
    assert works(store)
    store.close()
    assert openbao.call("GET", "auth/token/lookup-self", token=token)["data"]["id"] == token


def test_bao_variables_take_precedence(openbao: Server, open_store: Open) -> None:
    environ = {"BAO_ADDR": openbao.url, "VAULT_ADDR": "http://127.0.0.1:1", "BAO_TOKEN": openbao.token}
    store, _ = open_store(environ | {"VAULT_TOKEN": "another"})
    assert store.service.address == openbao.url


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "neither VAULT_TOKEN nor ~/.vault-token"),
        ({"VAULT_TOKEN": "s.unknown"}, "does not accept the token"),
        ({"AWS_VAULT_REMOVED": "VAULT_TOKEN"}, "exec' removed VAULT_TOKEN"),
    ],
    ids=["none", "unknown", "removed"],
)
def test_missing_or_invalid_token_is_locked(
    environ: dict[str, str], message: str, openbao: Server, open_store: Open
) -> None:
    with pytest.raises(StorageLocked, match=message) as locked:
        open_store({"VAULT_ADDR": openbao.url, **environ})
    assert locked.value.exit_code == 4
    assert "s.unknown" not in f"{locked.value.message} {locked.value.hint}"


def test_token_of_two_lines_is_refused_and_not_shown(openbao: Server, open_store: Open) -> None:
    with pytest.raises(ConfigError, match="VAULT_TOKEN is not a token") as refused:
        open_store({"VAULT_ADDR": openbao.url, "VAULT_TOKEN": "canary\nX-Header: 1"})
    assert "canary" not in refused.value.message


def test_principal_is_offline_and_contains_no_token(context: Callable[..., FakeContext]) -> None:
    environ = {"VAULT_ADDR": "http://127.0.0.1:1"}
    found = {
        whose(context(environ | {"VAULT_TOKEN": "s.canary-one"})),
        whose(context(environ | {"VAULT_TOKEN": "s.canary-two"})),
        whose(context(environ)),
        whose(context(environ, auth="userpass", username="ana")),
        whose(context(environ, auth="userpass", username="ben")),
        whose(context(environ, auth="userpass", username="ben", auth_mount="people")),
        whose(context(environ, auth="approle", role_id="a")),
        whose(context(environ, auth="jwt", role="a", jwt_file="/x")),
    }
    assert len(found) == 8
    assert not any("canary" in one for one in found)


# -- logins ------------------------------------------------------------------------------------------------------------


def test_approle_login_revokes_token_on_close(openbao: Server, name: str, open_store: Open) -> None:
    store, _ = open_store({"VAULT_ADDR": openbao.url}, **approle(openbao, name))
    token = store.service.client.hvac.token
    assert works(store)
    assert store.service.identity.entity in store.folder
    store.close()
    with pytest.raises(Refused):
        openbao.call("GET", "auth/token/lookup-self", token=token)


def test_secret_id_is_read_from_file(openbao: Server, name: str, tmp_path: Path, open_store: Open) -> None:
    options = approle(openbao, name)
    (tmp_path / "secret-id").write_text(options.pop("secret_id") + "\n")
    store, _ = open_store({"VAULT_ADDR": openbao.url}, secret_id_file=str(tmp_path / "secret-id"), **options)
    assert works(store)


def test_wrong_secret_id_is_exit_4_and_not_shown(openbao: Server, name: str, open_store: Open) -> None:
    options = approle(openbao, name) | {"secret_id": "canary-secret-id"}
    with pytest.raises(StorageDenied, match="refuses the role ID or secret ID") as denied:
        open_store({"VAULT_ADDR": openbao.url}, **options)
    assert denied.value.exit_code == 4
    assert "canary" not in f"{denied.value.message} {denied.value.hint}"


def test_userpass_asks_for_password_once(openbao: Server, name: str, open_store: Open) -> None:
    openbao.person(name)
    store, host = open_store({"VAULT_ADDR": openbao.url}, f"{name}-password", auth="userpass", username=name)
    assert host.questions == [f"Password of {name} at {openbao.url}: "]
    assert works(store)
    assert store.service.identity.display_name == name


@pytest.mark.parametrize("answers", [(), (None,)], ids=["nobody", "declined"])
def test_userpass_without_terminal_is_locked(
    answers: tuple[None, ...], openbao: Server, name: str, open_store: Open
) -> None:
    with pytest.raises(StorageLocked):
        open_store({"VAULT_ADDR": openbao.url}, *answers, auth="userpass", username=name)


def test_passphrase_source_never_asks_for_password(
    openbao: Server, name: str, context: Callable[..., FakeContext]
) -> None:
    from vault_plugin_hashicorp.passphrase import HashicorpSource

    host = context({"VAULT_ADDR": openbao.url}, f"{name}-password", auth="userpass", username=name)
    with pytest.raises(SourceUnavailable, match="needs the password of"):
        HashicorpSource(host).get(PassphraseRequest(store="file", key_id="file/1"))
    assert host.questions == []


def test_failed_open_revokes_token(openbao: Server, name: str, open_store: Open) -> None:
    options = approle(openbao, name)
    before = openbao.call("LIST", "auth/token/accessors")["data"]["keys"]
    with pytest.raises(StorageDenied, match="there is no mount"):
        open_store({"VAULT_ADDR": openbao.url}, mount="nowhere", **options)
    assert set(openbao.call("LIST", "auth/token/accessors")["data"]["keys"]) <= set(before)


def test_wrong_password_is_exit_4_and_not_shown(openbao: Server, name: str, open_store: Open) -> None:
    openbao.person(name)
    options = {"auth": "userpass", "username": name, "password": "canary-password"}
    with pytest.raises(StorageDenied, match="refuses the name or password") as denied:
        open_store({"VAULT_ADDR": openbao.url}, **options)
    assert "canary" not in f"{denied.value.message} {denied.value.hint}"


def test_missing_login_mount_is_named(openbao: Server, name: str, open_store: Open) -> None:
    options = {"auth": "userpass", "username": name, "password": "x", "auth_mount": "people"}
    with pytest.raises(StorageError, match="auth/people"):
        open_store({"VAULT_ADDR": openbao.url}, **options)


def token_of_an_issuer(subject: str) -> tuple[str, str]:
    """A JSON web token (RFC 7519, RS256), and the public key of its issuer."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    def text(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    claims = {"sub": subject, "aud": "awsv", "iat": now, "nbf": now, "exp": now + 600}
    head, body = (text(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    signature = key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"{head}.{body}.{text(signature)}", public.decode()


def test_jwt_login_reads_token_file(openbao: Server, name: str, tmp_path: Path, open_store: Open) -> None:
    token, public = token_of_an_issuer(name)
    openbao.call("POST", f"sys/auth/{name}", {"type": "jwt"})
    openbao.call("POST", f"auth/{name}/config", {"jwt_validation_pubkeys": [public]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["awsv"], "token_policies": ["awsv-team"]}
    openbao.call("POST", f"auth/{name}/role/runner", role)
    (tmp_path / "token").write_text(token)
    options = {"auth": "jwt", "auth_mount": name, "role": "runner", "jwt_file": "~/token"}
    store, _ = open_store({"VAULT_ADDR": openbao.url}, **options)
    assert works(store)


def test_jwt_of_another_bearer_is_another_principal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, context: Callable[..., FakeContext]
) -> None:
    """The next job of a CI runner has another token in the same file, and must not get sessions of the previous job."""
    there = context({}, auth="jwt", role="runner", jwt_file=str(tmp_path / "token"))

    def said(token: str) -> str:
        (tmp_path / "token").write_text(token)
        return whose(there)

    ana, ben = (said(token_of_an_issuer(subject)[0]) for subject in ("ana", "ben"))
    assert ana != ben
    assert len({ana, ben, said("no.token.at-all"), said("another"), said("another.W10.one")}) == 5
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 300)
    assert said(token_of_an_issuer("ana")[0]) == ana
    assert "ana" not in ana.replace(str(tmp_path), "")


@pytest.mark.parametrize("missing", ["role_id", "username", "role", "jwt_file"])
def test_missing_login_option_is_named(missing: str, openbao: Server, tmp_path: Path, open_store: Open) -> None:
    given = {"role_id": "approle", "username": "userpass", "role": "jwt", "jwt_file": "jwt"}
    options = {"auth": given[missing], "password": "x"} | ({"role": "x"} if missing == "jwt_file" else {})
    with pytest.raises(ConfigError) as error:
        open_store({"VAULT_ADDR": openbao.url}, **options)
    assert error.value.hint == f"set AWS_VAULT_HASHICORP_{missing.upper()}"


# -- people ------------------------------------------------------------------------------------------------------------


def test_users_cannot_read_items_of_each_other(openbao: Server, open_store: Open) -> None:
    tokens = [openbao.person(f"{who}-{secrets.token_hex(4)}") for who in ("ana", "ben")]
    ana, ben = (open_store(openbao.environ(token))[0] for token in tokens)
    ana.put("credentials/work", Secret("of ana"))
    ben.put("credentials/work", Secret("of ben"))
    assert (ana.get("credentials/work").value, ben.get("credentials/work").value) == (
        Secret("of ana"),
        Secret("of ben"),
    )
    assert list(ana.keys()) == list(ben.keys()) == ["credentials/work"]
    for kind, method in (("data", "GET"), ("data", "POST"), ("metadata", "LIST"), ("metadata", "GET")):
        path = f"secret/{kind}/{ana.folder}/credentials" + ("" if method == "LIST" else "/work")
        body = {"data": {"value": "stolen"}} if method == "POST" else None
        openbao.call(method, path, body, token=tokens[0])
        with pytest.raises(Refused) as refused:
            openbao.call(method, path, body, token=tokens[1])
        assert refused.value.status == 403
    with pytest.raises(Refused):
        openbao.call("GET", "secret/metadata/awsv/own/?list=true", token=tokens[1])


def test_user_has_same_items_with_every_token(openbao: Server, name: str, open_store: Open) -> None:
    first, second = openbao.person(name), openbao.person(name)
    assert first != second
    open_store(openbao.environ(first))[0].put("test/key", Secret("value"))
    assert open_store(openbao.environ(second))[0].get("test/key") is not None


def test_token_without_entity_uses_folder_of_its_name(openbao: Server, open_store: Open) -> None:
    made = openbao.call("POST", "auth/token/create", {"display_name": "../x y", "policies": ["root"]})
    store, _ = open_store(openbao.environ(made["auth"]["client_token"]))
    assert store.folder.startswith("awsv/own/name-")
    assert works(store)


def test_library_exceptions_are_not_shown(openbao: Server, open_store: Open) -> None:
    """The server is not Vault: its responses are not Vault documents."""
    import http.server
    import threading

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>canary-page</html>")

        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(VaultError) as error:
            open_store({"VAULT_ADDR": f"http://127.0.0.1:{server.server_address[1]}", "VAULT_TOKEN": "canary-token"})
        server.shutdown()
    assert isinstance(error.value, StorageError)
    assert "canary" not in f"{error.value.message} {error.value.hint}"


# -- a login that gives no usable token --------------------------------------------------------------------------------


def test_token_without_lookup_self_is_locked(openbao: Server, open_store: Open) -> None:
    openbao.call("PUT", "sys/policies/acl/blind", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    made = openbao.call("POST", "auth/token/create", {"policies": ["blind"], "no_default_policy": True})
    with pytest.raises(StorageLocked, match="its policy lacks read on auth/token/lookup-self"):
        open_store(openbao.environ(made["auth"]["client_token"]))


def test_empty_token_file_is_locked(openbao: Server, open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(StorageLocked, match="/token is empty"):
        open_store(openbao.environ(), token_file=str(tmp_path / "token"))


def test_secret_id_is_ignored_by_other_methods(openbao: Server, open_store: Open) -> None:
    with pytest.raises(StorageDenied, match="refuses the name or password") as denied:
        open_store({"VAULT_ADDR": openbao.url}, auth="userpass", username="nobody", password="wrong")
    assert "secret ID" not in str(denied.value.hint)


def test_login_with_second_factor_is_denied(openbao: Server, open_store: Open) -> None:
    name = f"ana-{secrets.token_hex(4)}"
    openbao.person(name)
    method = openbao.call("POST", "identity/mfa/method/totp", {"issuer": "test"})["data"]["method_id"]
    accessor = openbao.call("GET", "sys/auth")["userpass/"]["accessor"]
    alias = {"alias_name": name, "alias_mount_accessor": accessor}
    entity = openbao.call("POST", "identity/lookup/entity", alias)["data"]["id"]
    enforced = {"mfa_method_ids": [method], "identity_entity_ids": [entity]}
    openbao.call("POST", f"identity/mfa/login-enforcement/{name}", enforced)
    try:
        with pytest.raises(StorageDenied, match="returned no token: it may require a second factor"):
            open_store({"VAULT_ADDR": openbao.url}, auth="userpass", username=name, password=f"{name}-password")
    finally:
        openbao.call("DELETE", f"identity/mfa/login-enforcement/{name}")
