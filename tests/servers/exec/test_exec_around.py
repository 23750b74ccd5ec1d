"""``awsv exec`` and what is around it: protection from other processes, shells, and awsv inside of awsv."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from support import parts
from support.busy import seconds
from support.home import PROGRAM, Home
from support.recording_proxy import RecordingProxy, slow
from support.stored import CODE, PASSPHRASE, UNLOCKED, until

# -- protection --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")
def test_the_child_is_an_ordinary_process(logged_in: Home) -> None:
    """Readable by its owner (awsv itself is not), with the caller's limit on core files."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    soft = 4096 if hard == resource.RLIM_INFINITY else hard
    process = logged_in.start(
        *("exec", "work", "--", "sh", "-c", "ulimit -S -c; echo; read wait"),  # no exec: on its way in it has none
        stdin=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (soft, hard)),
    )
    try:
        assert process.stdout is not None
        shown = process.stdout.readline().strip()
        assert shown == str(soft // 512 if soft and Path("/bin/sh").resolve().name != "bash" else soft // 1024)
        process.stdout.readline()
        assert Path(f"/proc/{process.pid}").stat().st_uid == os.geteuid()
        assert b"AWS_SESSION_TOKEN=" in Path(f"/proc/{process.pid}/environ").read_bytes()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")
def test_nobody_reads_awsv_while_it_holds_secrets(logged_in: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", slow(30))
    process = subprocess.Popen(
        [PROGRAM, "exec", "-j", "other"],
        env=logged_in.environment(UNLOCKED),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: bool(front.calls), "a call")
        # What is not dumpable belongs to root, whoever runs it.
        assert Path(f"/proc/{process.pid}/mem").stat().st_uid == 0
        assert "Max core file size        0 " in Path(f"/proc/{process.pid}/limits").read_text()
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                Path(f"/proc/{process.pid}/environ").read_bytes()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")
@pytest.mark.root("test_nobody_reads_awsv_while_it_holds_secrets is this test for an ordinary user")
def test_an_ordinary_user_cannot_read_it_either(logged_in: Home, front: RecordingProxy) -> None:
    """As root, the test above proves little: another process of one ordinary user tries it here."""
    setpriv = parts.need("setpriv", shutil.which("setpriv"), how="apt-get install util-linux")
    user = [setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    hold = "from vault_core.cli.harden import harden; import time; {}; print(flush=True); time.sleep(60)"
    readable: list[bool] = []
    for call in ("harden()", "pass"):
        holder = subprocess.Popen(
            [*user, sys.executable, "-c", hold.format(call)],
            env={"CANARY": "secret"},
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            if not holder.stdout.readline():
                pytest.skip("the interpreter is not readable for other users here")
            done = subprocess.run(
                [*user, "cat", f"/proc/{holder.pid}/environ"], capture_output=True, check=False, timeout=20
            )
            readable.append(b"CANARY" in done.stdout)
        finally:
            holder.kill()
            holder.communicate()
    assert readable == [False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")
def test_memory_is_closed_by_the_first_thing_that_awsv_does(logged_in: Home) -> None:
    """Asked of the kernel, which answers everybody alike; root could read the memory all the same."""
    look = (
        "import ctypes, sys; sys.argv = ['awsv', 'exec', '-j', 'work']\nfrom vault_core.main import main\n"
        "main(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), open('/proc/self/comm').read(), file=sys.stderr)"
    )
    done = logged_in.run(sys.executable, "-c", look)
    assert (done.returncode, done.stderr.split()) == (0, ["0", "awsv"])
    order = logged_in.watched("list", flags=["-v"]).stderr
    assert order.index("import 'vault_core.cli.harden'") < order.index("import 'vault_core.cli.commands'")
    assert order.index("import 'ctypes'") < order.index("import 'click'")


@pytest.fixture
def strace() -> str:
    program = shutil.which("strace")
    works = program and subprocess.run([program, "-qq", "true"], capture_output=True, check=False).returncode == 0
    return parts.need("strace", program if works else None, how="apt-get install strace, and allow ptrace")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(("words", "code"), [(["-j", "work"], 2), (["work", "--", "true"], 125)])
def test_a_program_that_was_attached_before_memory_was_closed_is_refused(
    logged_in: Home, strace: str, words: list[str], code: int
) -> None:
    waits = f'read wait; exec "{PROGRAM}" exec {" ".join(words)}'
    pipe = subprocess.PIPE
    shell = subprocess.Popen(
        ["/bin/sh", "-c", waits], env=logged_in.environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    spy = subprocess.Popen([strace, "-qq", "-o", "/dev/null", "-p", str(shell.pid)])
    try:
        status = Path(f"/proc/{shell.pid}/status")
        until(lambda: f"TracerPid:\t{spy.pid}\n" in status.read_text(), "strace to be attached")
        stdout, stderr = shell.communicate("go\n", timeout=seconds(20))
    finally:
        shell.kill()
        spy.terminate()
        spy.wait()
    assert (shell.returncode, stdout) == (code, "")
    assert stderr == (
        f"awsv: process {spy.pid} (strace) is attached to awsv and can read what it holds\n"
        f"hint: end process {spy.pid}; to debug awsv, have the debugger start it, as strace does\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_debugger_that_started_awsv_is_its_users(logged_in: Home, strace: str) -> None:
    follow = (strace, "-f", "-qq", "-o", "/dev/null")
    done = logged_in.run(*follow, "/bin/sh", "-c", f'"{PROGRAM}" exec work -- printenv AWS_VAULT; true')
    assert (done.stdout, done.stderr) == ("work\n", "")


# -- shells and nesting ------------------------------------------------------------------------------------------------


def test_a_shell(logged_in: Home) -> None:
    shell = logged_in.spawn("exec", "work", env={"SHELL": "/bin/sh", "PS1": "ready> "})
    shell.expect("awsv: starting /bin/sh for profile work; type 'exit' to leave it")
    shell.sendline("echo in=$AWS_VAULT=")
    shell.expect("in=work=")
    shell.sendline("exit 9")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 9


def test_a_shell_without_a_banner(logged_in: Home) -> None:
    done = logged_in.awsv("exec", "work", input="echo $AWS_VAULT", env={"SHELL": None})
    assert (done.stdout, done.stderr) == ("work\n", "")
    shell = logged_in.spawn("exec", "work", env={"SHELL": "/bin/cat", "AWS_VAULT_DISABLE_HELP_MESSAGE": "1"})
    shell.sendeof()
    shell.expect(pexpect.EOF)
    assert "starting" not in shell.before


def test_a_shell_in_a_shell(logged_in: Home) -> None:
    inside = {"AWS_VAULT": "work", "SHELL": "/bin/sh"}
    done = logged_in.awsv("exec", "other", env={**UNLOCKED, **inside})
    assert done.returncode == 2
    assert done.stderr == (
        "awsv: you are already in an awsv shell for profile 'work'\nhint: type 'exit' to leave it, or use --nested\n"
    )
    done = logged_in.awsv("exec", "--nested", "other", input="echo $AWS_VAULT", env={**UNLOCKED, **inside})
    assert (done.returncode, done.stdout) == (0, "other\n")


NESTED = {
    "exec -j": ["exec", "-j", "other"],
    "exec": ["exec", "other", "--", "true"],
    "export": ["export", "other"],
    "explain": ["explain", "other"],
    "list": ["list"],
    "ready": ["ready", "other"],
}


@pytest.mark.parametrize("words", NESTED.values(), ids=NESTED.keys())
def test_nesting_is_normal(logged_in: Home, words: list[str]) -> None:
    secret = logged_in.root / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    # A file and a command hold no secret themselves, and so reach the child.
    by_command = {"AWS_VAULT_FILE_PASSPHRASE_COMMAND": f"cat {secret}"}
    env = by_command if words[0] == "export" else {"AWS_VAULT_FILE_PASSPHRASE_FILE": str(secret)}
    done = logged_in.awsv("exec", "work", "--", PROGRAM, *words, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["exec", "-j", "other"], ["ready", "other"]], ids=" ".join)
def test_a_removed_passphrase_is_named(logged_in: Home, words: list[str]) -> None:
    done = logged_in.awsv("exec", "work", "--", PROGRAM, "exec", "work", "--", PROGRAM, *words, env=UNLOCKED)
    assert (done.returncode, done.stdout) == (5, "")
    assert "awsv removed AWS_VAULT_FILE_PASSPHRASE from the environment of the program that it started" in done.stderr
    assert "hint: run this outside of 'awsv exec', or start that program with --keep-env AWS_VAULT_FILE" in done.stderr
    words = ["exec", "work", "--keep-env", "AWS_VAULT_FILE_PASSPHRASE", "--", str(PROGRAM), *words]
    assert logged_in.awsv(*words, env=UNLOCKED).returncode == 0


def test_a_child_sees_itself_and_not_the_profile_around_it(logged_in: Home) -> None:
    done = logged_in.awsv(
        *("exec", "mfa", "-t", CODE, "--keep-env", "AWS_VAULT_FILE_PASSPHRASE", "--"),
        *(PROGRAM, "exec", "work", "--", "printenv", "AWS_VAULT"),
        env=UNLOCKED,
    )
    assert done.stdout == "work\n"


def test_ctrl_c_while_aws_is_asked(logged_in: Home, front: RecordingProxy) -> None:
    front.on("GetSessionToken", slow(30))
    shell = logged_in.spawn("exec", "other", "--", "true", env=UNLOCKED)
    until(lambda: bool(front.calls), "a call")
    pressed = time.monotonic()
    shell.sendintr()
    shell.expect("awsv: interrupted")
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 130
    assert time.monotonic() - pressed < seconds(3)
