"""The connection to the server and its errors: TLS, sealed, mounts, namespaces, proxies."""

from __future__ import annotations

import datetime
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from support.lossy_proxy import LossyProxy
from support.openbao import Refused, Server, free_port, initialise, unseal, wait_for
from vault_core.api import (
    ABSENT,
    Cancelled,
    ConfigError,
    Secret,
    StorageDenied,
    StorageLocked,
    StorageUnavailable,
)
from vault_plugin_hashicorp import client
from vault_plugin_hashicorp.server import server
from vault_testkit import FakeContext

Open = Callable[..., Any]


def certificate(folder: Path, name: str) -> Path:
    """The path of a certificate with its own authority for a host name and 127.0.0.1, next to its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if name == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_passphrase = serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_passphrase)
    )
    return path


def with_tls(folder: Path, start_openbao: Callable[..., Server], name: str = "localhost") -> tuple[Server, Path]:
    path = certificate(folder, name)
    tls = f'tls_cert_file = "{path}"\n  tls_key_file = "{path.with_suffix(".key")}"'
    return start_openbao(tls=tls, scheme="https"), path


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_waiting")
def test_unknown_authority_is_refused_before_token_is_sent(
    tmp_path: Path, start_openbao: Callable[..., Server], open_store: Open
) -> None:
    openbao, path = with_tls(tmp_path, start_openbao)
    environ = {"VAULT_ADDR": openbao.url, "VAULT_TOKEN": "canary"}
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other", "elsewhere")
    for wrong in ({}, {"VAULT_CACERT": str(other)}):
        with pytest.raises(StorageUnavailable, match="not from a trusted authority") as refused:
            open_store(environ | wrong)
        assert refused.value.hint == "set VAULT_CACERT to the file of its certificate authority"
    # With the right one it is reached: nobody has initialised it.
    for right in ({"VAULT_CACERT": str(path)}, {"BAO_CACERT": str(path)}):
        with pytest.raises((StorageLocked, StorageUnavailable), match=r"sealed|cannot serve"):
            open_store(environ | right)


def test_certificate_for_other_name_is_refused_unless_configured(
    tmp_path: Path, start_openbao: Callable[..., Server], open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.2)
    openbao, path = with_tls(tmp_path, start_openbao, "vault.example.com")
    environ = {"VAULT_ADDR": openbao.url, "VAULT_TOKEN": "x", "VAULT_CACERT": str(path)}
    for wrong in ({}, {"VAULT_TLS_SERVER_NAME": "other.example.com"}):
        with pytest.raises(StorageUnavailable, match="is for another name"):
            open_store(environ | wrong)
    with pytest.raises((StorageLocked, StorageUnavailable), match=r"sealed|cannot serve"):
        open_store(environ | {"VAULT_TLS_SERVER_NAME": "vault.example.com"})


def test_skip_verify_warns(
    tmp_path: Path, start_openbao: Callable[..., Server], context: Callable[..., FakeContext]
) -> None:
    openbao, _ = with_tls(tmp_path, start_openbao)
    host = context({"VAULT_ADDR": openbao.url, "VAULT_SKIP_VERIFY": "1"})
    made = client.VaultClient(host, server(host))
    assert made._health(openbao.url) == 501  # not initialised
    made.close()
    assert [note for note in host.notes if "TLS is not verified" in note] == host.notes != []


def test_missing_ca_file_is_named(context: Callable[..., FakeContext]) -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem"):
        server(context({"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_CACERT": "/nowhere/ca.pem"}))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A permanent error is not retried, however long the first attempt took."""
    monkeypatch.setattr(client.VaultClient, "_sleep", lambda *_: pytest.fail("it waits to try again"))


# -- sealed, away, another server --------------------------------------------------------------------------------------


def test_sealed_server_is_locked_until_unsealed(start_openbao: Callable[..., Server], open_store: Open) -> None:
    openbao = start_openbao()
    key = wait_for(lambda: initialise(openbao))
    openbao.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    wait_for(openbao.prepare_team)
    store, _ = open_store(openbao.environ())
    store.put("test/key", Secret("value"))
    openbao.call("PUT", "sys/seal")
    began = time.monotonic()
    with pytest.raises(StorageLocked, match="is sealed") as locked:
        open_store(openbao.environ())
    assert time.monotonic() - began < seconds(5)
    assert locked.value.exit_code == 4
    unseal(openbao, key)
    assert wait_for(lambda: open_store(openbao.environ())[0].get("test/key"), 10) is not None


@pytest.mark.usefixtures("no_waiting")
def test_unreachable_server_is_named_at_once(open_store: Open) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match=f"no connection to {address}"):
        open_store({"VAULT_ADDR": address, "VAULT_TOKEN": "x"})
    assert time.monotonic() - began < seconds(2)


@pytest.mark.usefixtures("no_waiting")
def test_unreachable_proxy_is_named_at_once(open_store: Open) -> None:
    environ = {"VAULT_ADDR": "https://vault.example.com", "VAULT_TOKEN": "x"}
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="through the proxy"):
        open_store(environ | {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"})
    assert time.monotonic() - began < seconds(2)


@pytest.mark.usefixtures("no_waiting")
def test_server_without_tls_has_own_error(openbao: Server, open_store: Open) -> None:
    began = time.monotonic()
    with pytest.raises(StorageUnavailable, match="the TLS handshake"):
        open_store({"VAULT_ADDR": openbao.url.replace("http:", "https:"), "VAULT_TOKEN": "x"})
    assert time.monotonic() - began < seconds(2)


def test_silent_server_times_out(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StorageUnavailable, match="did not answer in time"):
            open_store({"VAULT_ADDR": address, "VAULT_TOKEN": "x"})


def test_wait_for_response_can_be_cancelled(
    context: Callable[..., FakeContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    def enough() -> None:
        raise Cancelled("the time for this is over")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = context({"VAULT_ADDR": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        monkeypatch.setattr(host, "check", enough)
        made = client.VaultClient(host, server(host))
        began = time.monotonic()
        with pytest.raises(Cancelled):
            made.send(lambda client: client.auth.token.lookup_self())
        assert time.monotonic() - began < seconds(3)
        made.close()


def test_404_of_proxy_is_not_absent_item(
    openbao: Server, context: Callable[..., FakeContext], open_store: Open
) -> None:
    """A page that is not a Vault document does not mean that an item is absent."""
    store, _ = open_store(openbao.environ())
    store.service.client.hvac.adapter.base_uri = f"{openbao.url}/ui/nowhere"
    with pytest.raises(StorageUnavailable, match="is not from Vault or OpenBao"):
        store.get("test/key")


def test_one_answering_address_is_enough(openbao: Server, open_store: Open) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    store, _ = open_store({"VAULT_TOKEN": openbao.token}, address=f"{away}, {openbao.url}/")
    assert store.service.address == openbao.url
    with pytest.raises(StorageUnavailable, match="no connection to"):
        open_store({"VAULT_TOKEN": "x"}, address=f"{away},{away}")


@pytest.mark.parametrize("address", ["vault.example.com:8200", "ftp://x", "https://user@x", "unix:///run/vault"])
def test_invalid_address_is_refused(address: str, context: Callable[..., FakeContext]) -> None:
    with pytest.raises(ConfigError, match="is not the address of a server"):
        server(context({"VAULT_ADDR": address}))


def test_missing_address_is_an_error(open_store: Open) -> None:
    with pytest.raises(ConfigError, match="no server is set"):
        open_store({"VAULT_TOKEN": "x"})


# -- mounts and namespaces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mount", ["elsewhere", "secret/inside"])
def test_missing_mount_is_named(mount: str, openbao: Server, open_store: Open) -> None:
    for token in (openbao.token, openbao.person("mounts")):
        with pytest.raises(StorageDenied, match=f"there is no mount '{mount}'"):
            open_store(openbao.environ(token), mount=mount)


def test_kv_version_1_is_refused_without_write(openbao: Server, open_store: Open) -> None:
    openbao.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    try:
        with pytest.raises(ConfigError, match=r"mount 'old' at .* is KV version 1"):
            open_store(openbao.environ(), mount="old")
        with pytest.raises(Refused) as refused:
            openbao.call("LIST", "old/data")
        assert refused.value.status == 404
    finally:
        openbao.call("DELETE", "sys/mounts/old")


def test_other_engine_is_refused(openbao: Server, open_store: Open) -> None:
    with pytest.raises(ConfigError, match=r"mount 'cubbyhole' at .* is a cubbyhole engine"):
        open_store(openbao.environ(), mount="cubbyhole")


def test_mount_and_prefix_are_configurable(openbao: Server, open_store: Open) -> None:
    openbao.call("POST", "sys/mounts/team/keys", {"type": "kv", "options": {"version": "2"}})
    try:
        wait_for(lambda: openbao.call("GET", "team/keys/config"))
        store, _ = open_store(openbao.environ(), mount="/team/keys/", prefix="a/b")
        store.put("test/key", Secret("value"), expect=ABSENT)
        assert openbao.call("GET", f"team/keys/data/{store.folder}/test/key")["data"]["data"]["value"] == "value"
        assert store.folder.startswith("a/b/own/")
        with pytest.raises(StorageDenied, match="there is no mount 'team'"):
            open_store(openbao.environ(), mount="team")
    finally:
        openbao.call("DELETE", "sys/mounts/team/keys")


@pytest.mark.parametrize("text", ["a//b", "../a", "a/..", "a b", "a/.b", "ü"])
def test_folder_that_server_would_rename_is_refused(text: str, context: Callable[..., FakeContext]) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        context({}, prefix=text)


def test_namespaces_are_separate(openbao: Server, open_store: Open) -> None:
    openbao.call("POST", "sys/namespaces/team-a", {})
    try:
        mount = {"type": "kv", "options": {"version": "2"}}
        wait_for(lambda: openbao.call("POST", "sys/mounts/secret", mount, namespace="team-a"))
        wait_for(lambda: openbao.call("GET", "secret/config", namespace="team-a"))
        inside, _ = open_store(openbao.environ() | {"VAULT_NAMESPACE": "team-a"})
        outside, _ = open_store(openbao.environ())
        inside.shared().put("test/in-a-namespace", Secret("value"))
        assert outside.shared().get("test/in-a-namespace") is None
        again, _ = open_store(openbao.environ(), namespace="/team-a/")
        assert again.shared().get("test/in-a-namespace") is not None
    finally:
        openbao.call("DELETE", "sys/namespaces/team-a")


# -- settings that requests would read --------------------------------------------------------------------------------


def test_netrc_is_not_read(
    openbao: Server, front: LossyProxy, tmp_path: Path, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    store, _ = open_store({"VAULT_ADDR": front.url, "VAULT_TOKEN": openbao.token})
    store.get("test/key")
    assert front.seen
    assert not any("Authorization" in seen.headers for seen in front.seen)


def test_environment_of_context_is_used(openbao: Server, open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "another")
    monkeypatch.setenv("VAULT_NAMESPACE", "another")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    store, _ = open_store(openbao.environ())
    assert store.service.identity.display_name == "token"
