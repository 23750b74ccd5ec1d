"""A real ``moto_server`` process as AWS, and the IAM things that tests need in it.

Its traps: GetSessionToken returns one fixed credential (its identity is ``user/moto``), any MFA code is accepted,
nothing is denied. What a test needs beyond that is told to the :mod:`support.recording_proxy` before it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.busy import seconds

ACCOUNT = "123456789012"
REGION = "eu-west-1"
START_SECONDS = 30.0


@dataclass(frozen=True)
class Key:
    """A long-term access key of an IAM user."""

    access_key_id: str
    secret_access_key: str


class MotoServer:
    """A running server. ``alice`` is an IAM user with a key; the roles ``RoleA`` and ``RoleB`` exist.

    :param folder: for its log.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "moto.log"
        self._process = self._start()
        try:
            self.url = self._wait_ready()
            self.alice = self.create_user("alice")
            self.role_a = self.create_role("RoleA")
            self.role_b = self.create_role("RoleB")
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def program() -> Path | None:
        """Where the server is installed, beside this interpreter; None if it is not."""
        path = Path(sys.executable).with_name("moto_server")
        return path if path.exists() else None

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as log:
            return subprocess.Popen(
                # Port 0: the kernel chooses a free one, and no other process can take it in between.
                [sys.executable, str(self.program()), "-H", "127.0.0.1", "-p", "0"],
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(self._log.parent),
                    "PYTHONUNBUFFERED": "1",
                    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._log.parent,
            )

    def _wait_ready(self) -> str:
        marker = "Running on "
        began = time.monotonic()
        while time.monotonic() - began < seconds(START_SECONDS) and self._process.poll() is None:
            _, found, rest = self._log.read_text(errors="replace").partition(marker)
            if found and "\n" in rest:
                return rest.split()[0]
            time.sleep(0.05)
        raise RuntimeError(f"moto_server did not start:\n{self._log.read_text(errors='replace')}")

    def stop(self) -> None:
        """Stop the process; may be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def client(self, service: str, key: Key | None = None) -> Any:
        """A boto3 client of the server that reads nothing of this process's environment that matters.

        :param key: whose; None: somebody who may do everything.
        """
        import boto3
        from botocore.config import Config

        who = key or Key("AKIAIOSFODNN7TESTING", "not-a-secret")
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=who.access_key_id,
            aws_secret_access_key=who.secret_access_key,
            config=Config(proxies={}),
        )

    def warm_parameters(self) -> None:
        """Have it make its keys now: a busy machine takes longer for them than awsv waits for AWS."""
        self.client("ssm").put_parameter(Name="/warm", Value="x", Type="SecureString")

    def create_user(self, name: str) -> Key:
        """A new IAM user with an access key."""
        self.client("iam").create_user(UserName=name)
        return self.create_key(name)

    def create_key(self, name: str) -> Key:
        """Another access key of an IAM user."""
        made: Mapping[str, str] = self.client("iam").create_access_key(UserName=name)["AccessKey"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"])

    def create_role(self, name: str) -> str:
        """A new role that anybody in the account may assume; its ARN."""
        anybody = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
        }
        made = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(anybody))
        arn: str = made["Role"]["Arn"]
        return arn
