"""``make demo``: a day with awsv, on real programs.

AWS is a moto server on this machine, the AWS CLI is the real one, prompts are answered on a real pseudo-terminal, and
all files are in a temporary home that is removed at the end. Every step checks its result: the exit code is 0 only if
every result is the expected one.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable

from machine import ADMIN, REGION, Answer, Failed, Machine, Result
from signin import SignIn

ACCOUNT = "123456789012"
MFA = f"arn:aws:iam::{ACCOUNT}:mfa/ops"
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of a store that lives for seconds
WHO = "aws sts get-caller-identity"
STATES = 6

ROLES = f"""
[profile ops]
region = {REGION}

[profile deploy]
region = {REGION}
role_arn = arn:aws:iam::{ACCOUNT}:role/Deploy
source_profile = ops
mfa_serial = {MFA}

[profile admin]
region = {REGION}
role_arn = arn:aws:iam::{ACCOUNT}:role/Admin
source_profile = deploy
"""

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
    }
)

COLOURED = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(text: str = "", style: str = "") -> None:
    """Print one line, and flush it."""
    encoding = sys.stdout.encoding or "ascii"
    text = text.encode(encoding, "replace").decode(encoding)
    sys.stdout.write(f"\x1b[{style}m{text}\x1b[0m\n" if style and COLOURED else f"{text}\n")
    sys.stdout.flush()


def chapter(title: str) -> None:
    say()
    say(title, "1")


def shown(command: str, result: Result) -> None:
    """Print a command, its output, its duration, and the number of its calls to AWS."""
    say(f"  $ {command}", "36")
    for line in (result.stdout + result.stderr).splitlines():
        say(f"    {line}".rstrip(), "2")
    calls = {0: "no call to AWS", 1: "1 call to AWS"}.get(result.calls, f"{result.calls} calls to AWS")
    say(f"    {'':<44}{result.seconds * 1000:>7.0f} ms   {calls}", "2")


def good(text: str) -> None:
    say(f"    ok: {text}", "32")


def expect(what: str, found: object, wanted: object) -> None:
    """Compare a result with the expected one.

    :raises Failed: they differ.
    """
    if found != wanted:
        raise Failed(f"{what}: expected {wanted!r}, got {found!r}")


def identity(text: str) -> str:
    """The identity of the AWS CLI's credentials, in the response of AWS."""
    found = re.search(r'"Arn": "([^"]+)"', text)
    if found is None:
        raise Failed(f"found no identity in:\n{text}")
    return found[1]


def assumed(role: str, text: str) -> str:
    """The identity, which must be a session of ``role``."""
    arn = identity(text)
    if not arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/"):
        raise Failed(f"identity: expected a session of role {role}, got {arn}")
    return arn


class Day:
    """The steps, in their order. Each step uses the results of the previous ones."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.timings: list[tuple[str, Result, Result]] = []
        self.secrets: list[str] = []

    def run(self, command: str) -> Result:
        """Run a command that does not prompt, and show the result."""
        result = self.machine.run(command)
        shown(command, result)
        return result

    def type(self, command: str, *answers: Answer, env: dict[str, str] | None = None) -> Result:
        """Run a command that prompts on its terminal, and show the result."""
        result = self.machine.type(command, answers, env=env)
        shown(command, result)
        return result

    def account(self) -> None:
        """The AWS account: an IAM user for programs, one with MFA, and two roles."""
        chapter("0. An AWS account (moto), two IAM users with keys, two roles")
        version = self.machine.run("aws --version")
        # Another version on the PATH may ignore AWS_ENDPOINT_URL and call the real AWS.
        expect("version of the AWS CLI", (version.stdout + version.stderr)[:10], "aws-cli/1.")
        steps = [f"aws iam create-user --user-name {user}" for user in ("work", "ops")]
        steps += [
            f"aws iam create-role --role-name {role} --assume-role-policy-document '{TRUST}'"
            for role in ("Deploy", "Admin")
        ]
        for step in steps:
            made = json.loads(self.machine.run(step, env=ADMIN).stdout)
            say(f"  {(made.get('User') or made['Role'])['Arn']}", "2")
        self.machine.config.write_text(f"[default]\nregion = {REGION}\n\n[profile work]\nregion = {REGION}\n")
        say(f"  AWS is {self.machine.env['AWS_ENDPOINT_URL']}, process {self.machine.server_pid}", "2")
        say(f"  home is {self.machine.home}", "2")

    def store(self) -> None:
        """Store two keys, in two ways."""
        chapter("1. Store two keys: one from the environment, one from a pipe")
        made = json.loads(self.machine.run("aws iam create-access-key --user-name work", env=ADMIN).stdout)["AccessKey"]
        self.secrets.append(made["SecretAccessKey"])
        added = self.type(
            "awsv add work --env",
            Answer(r"New passphrase for store 'file': ", PASSPHRASE),
            Answer(r"Repeat passphrase: ", PASSPHRASE),
            Answer(r"Create a recovery key to keep on paper\? \[Y/n\] ", "n"),
            env={"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]},
        )
        expect("new key ID in the output", made["AccessKeyId"] in added.stdout, True)
        expect("passphrase on the screen", PASSPHRASE in added.stdout, False)
        say()
        say("  From here on the passphrase comes from AWS_VAULT_FILE_PASSPHRASE.")
        self.machine.env["AWS_VAULT_FILE_PASSPHRASE"] = PASSPHRASE
        command, copy = "aws iam create-access-key --user-name ops", self.machine.root / "ops.json"
        piped = self.machine.run(f"{command} | tee {shlex.quote(str(copy))} | awsv add ops", env=ADMIN)
        shown(f"{command} | awsv add ops", piped)
        made = json.loads(copy.read_text())["AccessKey"]
        copy.unlink()
        self.secrets.append(made["SecretAccessKey"])
        expect("new key ID in the output", made["AccessKeyId"] in piped.stderr, True)
        self.search("both keys are stored, and neither is readable")

    def search(self, text: str) -> None:
        """Check that no file in the home contains a secret key in plain text."""
        files = [path for path in self.machine.home.rglob("*") if path.is_file()]
        plain = [path for path in files for secret in self.secrets if secret.encode() in path.read_bytes()]
        expect("files with a plain secret key", plain, [])
        good(f"{text}: none of the {len(files)} files in the home contains a secret in plain text")

    def look(self) -> None:
        chapter("2. The profiles and the stored keys")
        with self.machine.config.open("a") as config:
            config.write(ROLES)
        listed = self.run("awsv list")
        rows = [line.split() for line in listed.stdout.splitlines()]
        for row in (["work", "work", "-"], ["ops", "ops", "-"], ["admin", "-", "-"]):
            expect(f"row of {row[0]} in the list", row in rows, True)
        good("the list shows both keys")

    def execute(self) -> None:
        chapter("3. A program with a session of profile work, twice")
        command = f"awsv exec work -- {WHO}"
        first, again = self.run(command), self.run(command)
        for result in (first, again):
            expect("identity", identity(result.stdout), f"arn:aws:sts::{ACCOUNT}:user/moto")
        expect("calls to AWS (session, identity)", first.calls, 2)
        expect("calls to AWS (identity)", again.calls, 1)
        self.timings.append((command, first, again))
        good("the second session came from the cache (moto names every user's session 'moto')")

    def sdk(self) -> None:
        chapter("4. Every AWS SDK on this machine, through credential_process")
        self.type("awsv config credential-process work --as work-sdk", Answer(r"like this\? .*\[y/N\] ", "y"))
        result = self.run(f"{WHO} --profile work-sdk")
        expect("identity", identity(result.stdout), f"arn:aws:sts::{ACCOUNT}:user/moto")
        expect("calls to AWS (identity)", result.calls, 1)
        good("the AWS CLI got the session from awsv, without a prompt: the session was live")

    def chain(self) -> None:
        chapter("5. A role that is assumed from a role, with MFA")
        command = f"awsv exec admin -- {WHO}"
        first = self.type(command, Answer(rf"MFA code for {re.escape(MFA)}: ", "123456"))
        arn = assumed("Admin", first.stdout)
        expect("calls to AWS (session with MFA, Deploy, Admin, identity)", first.calls, 4)
        again = self.run(command)
        assumed("Admin", again.stdout)
        expect("calls to AWS (identity)", again.calls, 1)
        self.timings.append((command, first, again))
        good(f"{arn}, after one prompt, then without one")

    def ready(self) -> None:
        chapter(f"6. One code for {STATES} profiles")
        names = [f"tf-{number}" for number in range(1, STATES + 1)]
        with self.machine.config.open("a") as config:
            for name in names:
                config.write(f"\n[profile {name}]\nregion = {REGION}\nrole_arn = arn:aws:iam::{ACCOUNT}:role/Deploy\n")
                config.write(f"role_session_name = {name}\nsource_profile = ops\nmfa_serial = {MFA}\n")
        self.run("awsv clear")
        command = "awsv ready 'tf-*'"
        first = self.type(command, Answer(rf"MFA code for {re.escape(MFA)}: ", "654321"))
        expect("calls to AWS (session with MFA, one for each role)", first.calls, 1 + STATES)
        again = self.run(command)
        expect("calls to AWS", again.calls, 0)
        expect("profiles that are still live", again.stdout.count("still live"), STATES)
        self.timings.append((command, first, again))
        used = self.run(f"awsv exec tf-{STATES} -- {WHO}")
        expect("identity", assumed("Deploy", used.stdout).rpartition("/")[2], f"tf-{STATES}")
        good(f"{STATES} sessions, one prompt")

    def console(self) -> None:
        chapter("7. The console of a role, in a browser elsewhere")
        command = "awsv login --stdout --service s3 deploy"
        signin = SignIn()
        try:
            result = self.machine.run(command, env={"AWS_VAULT_STS_SIGNIN_URL": signin.url})
        finally:
            signin.close()
        expect("sign-in tokens (the session came in the body of a POST)", len(signin.tokens), 1)
        url, token = result.stdout.strip(), signin.tokens[0]
        expect("the URL has the token", url.endswith(f"&SigninToken={token}"), True)
        self.secrets.append(token)
        hidden = url.replace(token, f"{token[:4]}… ({len(token)} characters)")
        shown(command, Result(hidden, result.stderr, result.seconds, result.calls))
        expect("calls to AWS (the role; the session with MFA is live)", result.calls, 1)
        good("the URL is a credential: only --stdout prints it, and a browser gets it by a private page")

    def rotate(self) -> None:
        chapter("8. A new key for profile work")
        before = self.key("work")
        rotated = self.run("awsv rotate work")
        after = self.key("work")
        expect("old key in the output", f"made {before} inactive" in rotated.stderr, True)
        expect("keys before and after differ", before != after, True)
        held = json.loads(self.machine.run("awsv exec -n -j work").stdout)
        expect("key that a program gets", held["AccessKeyId"], after)
        self.secrets.append(held["SecretAccessKey"])
        good(f"{after} was used and stored before {before} was made inactive; --finish deletes that one")
        self.search("the new key is encrypted, too")

    def key(self, name: str) -> str:
        """The id of a stored key, from the list of all, which is shown."""
        rows = [line.split() for line in self.run("awsv list --keys").stdout.splitlines()]
        return next(row[1] for row in rows if row and row[0] == name)

    def offline(self) -> None:
        chapter("9. AWS is stopped, and the passphrase is removed")
        self.machine.stop_aws()
        del self.machine.env["AWS_VAULT_FILE_PASSPHRASE"]
        command = "awsv exec -j tf-1"
        result = self.machine.run(command)
        answer = json.loads(result.stdout)
        expect("fields", sorted(answer), ["AccessKeyId", "Expiration", "SecretAccessKey", "SessionToken", "Version"])
        self.secrets += [answer["SecretAccessKey"], answer["SessionToken"]]
        hidden = {**answer, "SecretAccessKey": "…", "SessionToken": "…"}
        shown(command, Result(json.dumps(hidden, ensure_ascii=False), "", result.seconds, result.calls))
        good("a live session needs no network and no passphrase")
        self.search("the sessions are encrypted, too")

    def summary(self) -> None:
        chapter("The same command again")
        say(f"  {'':<46}{'first':>10}{'again':>10}   calls to AWS")
        for command, first, again in self.timings:
            calls = f"{first.calls}, then {again.calls}"
            say(f"  {command:<46}{first.seconds * 1000:>7.0f} ms{again.seconds * 1000:>7.0f} ms   {calls}")

    def steps(self) -> list[Callable[[], None]]:
        first = [self.account, self.store, self.look, self.execute, self.sdk, self.chain, self.ready]
        return [*first, self.console, self.rotate, self.offline]


def main() -> int:
    """Run the demo. Returns the exit code: 0 if every result was the expected one."""
    start = time.perf_counter()
    # SIGTERM ends this process as Ctrl-C does: the server is stopped and the folder is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    machine = Machine()
    try:
        day = Day(machine)
        for step in day.steps():
            step()
        day.summary()
    except Failed as error:
        say()
        say(f"demo failed: {error}", "31")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        machine.close()
    say()
    say(f"done in {time.perf_counter() - start:.1f} s; the server is stopped, {machine.root} is removed", "1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
