"""A cluster of three OpenBao servers whose leader is killed while eight clients read and write."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import busy, cluster_client
from support.openbao import Cluster, Refused, Server, wait_for
from vault_core.api import Secret, StorageUnavailable
from vault_plugin_hashicorp.plugin import vault_storage_backends
from vault_testkit import FakeContext

CLIENTS = 8
DEEP = os.environ.get("AWSV_DEEP") == "1"


def value(cluster: Cluster, path: str) -> str | None:
    """What the leader has at a path; None if there is nothing."""

    def read() -> str | None:
        try:
            answer = cluster.leader().call("GET", f"secret/data/{path}")
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        found: str = answer["data"]["data"]["value"]
        return found

    found: str | None = wait_for(read, 20)
    return found


def start(urls: Sequence[str], tokens: Sequence[str], seconds: float) -> list[subprocess.Popen[str]]:
    """The clients, each with another order of the servers' addresses."""
    clients = []
    for number, token in enumerate(tokens):
        first = number % len(urls)
        addresses = ",".join([*urls[first:], *urls[:first]])
        job = {"name": f"c{number}", "seconds": seconds, "environ": {"VAULT_ADDR": addresses, "VAULT_TOKEN": token}}
        clients.append(
            subprocess.Popen(
                [sys.executable, cluster_client.__file__, json.dumps(job)],
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return clients


def finish(clients: Sequence[subprocess.Popen[str]], seconds: float) -> list[dict[str, Any]]:
    """What the clients tell in the end."""

    def one(client: subprocess.Popen[str]) -> dict[str, Any]:
        try:
            out, err = client.communicate(timeout=seconds)
        finally:
            client.kill()
        assert client.returncode == 0, err
        told: dict[str, Any] = json.loads(out)
        return told

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(one, clients))


def act(cluster: Cluster, seconds: float, kills: Sequence[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Eight clients for so many seconds; the leader is killed at these, and comes back before the next time."""
    prefix = secrets.token_hex(3)
    tokens = [wait_for(lambda n=number: cluster.leader().person(f"{prefix}-{n}")) for number in range(CLIENTS)]
    start_counter = ("POST", "secret/data/awsv/common/crowd/counter", {"data": {"value": "0"}})
    wait_for(lambda: cluster.leader().call(*start_counter))
    clients = start([node.url for node in cluster.nodes], tokens, seconds)
    began = time.monotonic()
    killed = None
    for at in kills:
        time.sleep(max(0.0, began + at - time.monotonic()))
        if killed is not None:
            cluster.revive(killed)
            cluster.wait_ready()
        killed = cluster.leader()
        killed.kill()
    told = finish(clients, seconds + busy.seconds(90))
    assert killed is not None
    cluster.revive(killed)
    cluster.wait_ready()
    check(cluster, told)
    with capsys.disabled():
        sys.stdout.write(f"\n{summary(told, len(kills))}\n")


def check(cluster: Cluster, told: Sequence[dict[str, Any]]) -> None:
    """Nothing that was acknowledged is missing, and nobody saw what was not so."""
    assert [wrong for one in told for wrong in one["wrong"]] == []
    for one in told:
        for name in one["created"]:
            assert value(cluster, f"{one['folder']}/{name}") == f"value of {name}", name
        assert value(cluster, f"{one['folder']}/crowd/own") == str(one["last"])
    counted = sum(one["counted"] for one in told)
    perhaps = sum(one["perhaps_counted"] for one in told)
    found = int(value(cluster, "awsv/common/crowd/counter") or "0")
    assert counted <= found <= counted + perhaps
    assert all(one["created"] for one in told)


def summary(told: Sequence[dict[str, Any]], kills: int) -> str:
    def total(what: str) -> int:
        return sum(len(one[what]) if isinstance(one[what], list) else one[what] for one in told)

    errors = sum(sum(one["errors"].values()) for one in told)
    return (
        f"{CLIENTS} clients, leader killed {kills} times: {total('created')} items made and {total('counted')} steps"
        f" counted, {total('operations')} operations, {total('repeated')} requests repeated, {errors} clear errors,"
        f" {total('unknown')} unknown outcomes, longest stall {max(one['longest'] for one in told):.1f} s"
    )


def test_eight_processes_count_and_no_step_is_lost(openbao: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Check-and-set on one server that nobody kills: what was acknowledged is what is there, to the number."""
    tokens = [openbao.person(f"counter{number}") for number in range(CLIENTS)]
    openbao.call("POST", "secret/data/awsv/common/crowd/counter", {"data": {"value": "0"}})
    told = finish(start([openbao.url], tokens, 3.0), busy.seconds(60))
    assert [wrong for one in told for wrong in one["wrong"]] == []
    assert sum(one["perhaps_counted"] + len(one["unknown"]) for one in told) == 0
    there = openbao.call("GET", "secret/data/awsv/common/crowd/counter")["data"]["data"]["value"]
    assert int(there) == sum(one["counted"] for one in told) > 0
    with capsys.disabled():
        sys.stdout.write(f"\n{summary(told, 0)}\n")


@pytest.mark.slow
def test_what_was_written_through_a_standby_is_read_through_it(cluster: Cluster, tmp_path: Path) -> None:
    """It answers reads itself, and is behind: without the index of our write, each of these reads is of the past."""
    leader = cluster.leader()
    (spec,) = vault_storage_backends()
    for standby in (node for node in cluster.nodes if node is not leader):
        environ = {"VAULT_ADDR": standby.url, "VAULT_TOKEN": leader.person("standby")}
        store = spec.open(FakeContext(tmp_path, declared=spec.options, environ=environ))
        for number in range(50):
            version = store.put("test/key", Secret(str(number)))
            item = store.get("test/key")
            assert item is not None
            assert (item.value, item.version) == (Secret(str(number)), version)
            assert store.delete("test/key", expect=version)
            assert list(store.keys()) == []
        store.close()


@pytest.mark.slow
def test_a_standby_that_sends_us_on_is_followed_to_an_address_that_is_set(cluster: Cluster, tmp_path: Path) -> None:
    """It does so where it cannot hand a request to its leader; here it is asked not to."""
    leader = cluster.leader()
    standby = next(node for node in cluster.nodes if node is not leader)
    (spec,) = vault_storage_backends()

    def open_store(addresses: str) -> Any:
        environ = {"VAULT_ADDR": addresses, "VAULT_TOKEN": leader.person("redirected")}
        store = spec.open(FakeContext(tmp_path, declared=spec.options, environ=environ))
        store.service.client.hvac.adapter.base_uri = standby.url  # type: ignore[attr-defined]  # not the leader that it has found
        store.service.client._session.headers["X-Vault-No-Request-Forwarding"] = "true"  # type: ignore[attr-defined]  # no other backend has a service
        return store

    with pytest.raises(StorageUnavailable, match="which is not one of the configured addresses") as refused:
        open_store(standby.url).put("test/key", Secret("value"))
    named = str(refused.value.hint).partition("AWS_VAULT_HASHICORP_ADDRESS=")[2]
    assert named == f"{standby.url},{leader.url}"
    store = open_store(named)
    version = store.put("test/key", Secret("value"))
    item = store.get("test/key")
    assert item is not None
    assert (item.value, item.version) == (Secret("value"), version)
    assert list(store.keys()) == ["test/key"]
    assert store.delete("test/key", expect=version)


@pytest.mark.slow
def test_a_killed_leader_loses_nothing(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    act(cluster, 10.0, [2.0], capsys)


@pytest.mark.slow
@pytest.mark.skipif(not DEEP, reason="a minute and more: AWSV_DEEP=1 runs it")
def test_leaders_are_killed_for_a_minute(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    act(cluster, 60.0, [5.0, 22.0, 40.0], capsys)
