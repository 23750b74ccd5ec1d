"""``awsv login`` at a federation endpoint that checks what it is asked as AWS does."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support import browsers
from support.federation import Federation, standing_in
from support.home import Home
from support.moto import ACCOUNT, MotoServer
from support.recording_proxy import Fault, RecordingProxy
from support.stored import CODE, MFA, UNLOCKED, add, until


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


CONFIG = f"""
[profile work]
region = eu-west-1

[profile mfa]
region = eu-west-1
mfa_serial = {MFA}

[profile role]
role_arn = {arn("RoleA")}
source_profile = work
region = eu-central-1

[profile role-mfa]
role_arn = {arn("RoleA")}
source_profile = mfa
mfa_serial = {MFA}

[profile long]
role_arn = {arn("RoleA")}
source_profile = mfa
mfa_serial = {MFA}
duration_seconds = 14400

[profile behind]
role_arn = {arn("RoleB")}
source_profile = role-mfa

[profile alias]
source_profile = role-mfa
"""


@pytest.fixture
def aws(front: RecordingProxy) -> Iterator[Federation]:
    with standing_in(front) as federation:
        yield federation


@pytest.fixture
def person(home: Home, moto: MotoServer, aws: Federation) -> Home:
    home.configure(CONFIG)
    add(home, moto.alice, "work", "mfa")
    home.env.update({**UNLOCKED, "AWS_VAULT_STS_SIGNIN_URL": aws.url})
    return home


def printed(home: Home, *words: str, **env: str) -> dict[str, str]:
    """The parts of the URL that ``login --stdout`` prints."""
    done = home.awsv("login", "--stdout", "-t", CODE, *words, env=env)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    return {name: value[0] for name, value in parse_qs(urlsplit(line).query, strict_parsing=True).items()}


FLOWS: dict[str, tuple[list[str], list[str], str | None]] = {
    "user": (["work"], ["GetCallerIdentity", "GetFederationToken"], None),
    "user, two hours": (["work", "-d", "2h"], ["GetCallerIdentity", "GetFederationToken"], None),
    "user with MFA": (["mfa"], ["GetCallerIdentity", "GetFederationToken"], None),
    "role": (["role"], ["AssumeRole"], None),
    "role, twelve hours": (["role", "-d", "12h"], ["AssumeRole"], "43200"),
    "role with MFA": (["role-mfa"], ["GetSessionToken", "AssumeRole"], None),
    "role with MFA, two hours": (["role-mfa", "-d", "2h"], ["AssumeRole"], "7200"),
    "role with MFA, without session": (["role-mfa", "-n"], ["AssumeRole"], None),
    "role for four hours": (["long"], ["AssumeRole"], None),
    "role behind a role": (["behind"], ["GetSessionToken", "AssumeRole", "AssumeRole"], None),
    "alias of a role": (["alias"], ["GetSessionToken", "AssumeRole"], None),
}


@pytest.mark.parametrize(("words", "actions", "seconds"), FLOWS.values(), ids=FLOWS.keys())
def test_console_opens_for_every_kind_of_profile(
    person: Home, front: RecordingProxy, aws: Federation, words: list[str], actions: list[str], seconds: str | None
) -> None:
    asked = printed(person, *words)
    assert front.actions == actions
    assert [form.get("SessionDuration") for form in aws.exchanges] == [seconds]
    assert asked["SigninToken"] in aws.tokens
    assert aws.refusals == []


def told(home: Home) -> list[dict[str, Any]]:
    """What each browser that was started saw."""
    return [json.loads(line) for line in (home.root / "browser.log").read_text().splitlines()]


def umask() -> int:
    """That of this process."""
    found = os.umask(0o77)
    os.umask(found)
    return found


def browser(home: Home, name: str = "chromium", *, more: str = "") -> Path:
    return browsers.script(home.root / name, home.root / "browser.log", more=more)


def test_browser_gets_the_console_by_an_address_of_this_machine(person: Home, aws: Federation) -> None:
    done = person.awsv("login", "--browser", browser(person), "role", env={"AWS_SESSION_TOKEN": "CANARY-SESSION"})
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "awsv: the console of role is open in chromium\n"
    [seen] = told(person)
    [address] = seen["argv"]
    assert urlsplit(address).hostname == "127.0.0.1"
    [login] = aws.logins
    assert urlsplit(login.destination).netloc == "eu-central-1.console.aws.amazon.com"
    assert "referer" not in login.headers
    assert seen["files"] == dict.fromkeys("012", os.devnull)
    assert seen["umask"] == umask()
    secret = {"AWS_VAULT_FILE_PASSPHRASE", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert secret & set(seen["environ"]) == set()


WATCH = """
import glob
def lines():
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            yield open(path, "rb").read()
        except OSError:
            pass
with open({found!r}, "wb") as found:
    found.write(b"\\n".join(lines()))
"""


def test_no_process_has_the_url_among_its_arguments(person: Home, aws: Federation) -> None:
    """Every argument and every variable on this machine, while the browser starts and the token is valid."""
    found = person.root / "arguments"
    script = browser(person, more=WATCH.format(found=str(found)))
    done = person.awsv("--debug", "login", "--browser", script, "role")
    assert done.returncode == 0, done.stderr
    [token] = aws.issued_tokens
    everything = found.read_bytes()
    assert b"http://127.0.0.1:" in everything
    assert token.encode() not in everything
    for exchange in aws.exchanges:
        for secret in json.loads(exchange["Session"]).values():
            assert secret.encode() not in everything
            assert secret not in done.stdout + done.stderr
    assert token not in done.stdout + done.stderr
    left = [path for path in person.root.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert left == []


def test_browser_that_fails_at_once_leaves_the_url(person: Home, aws: Federation) -> None:
    done = person.awsv("login", "--browser", browser(person, more="sys.exit(3)"), "role")
    assert done.returncode == 7
    assert "awsv: chromium failed (exit code 3)\nawsv: this URL opens the console, and anyone who has it" in done.stderr
    [token] = aws.tokens
    assert token in done.stdout


def test_browser_that_hands_the_address_on_and_ends_is_waited_for(person: Home, aws: Federation) -> None:
    more = "if os.fork():\n    os._exit(0)"
    done = person.awsv("login", "--browser", browser(person, more=more), "role")
    assert (done.returncode, len(aws.logins)) == (0, 1), done.stderr


def test_without_a_display_the_url_is_printed(person: Home, aws: Federation) -> None:
    done = person.awsv("login", "role")
    assert done.returncode == 0
    assert done.stderr.startswith("awsv: no browser is started: there is no display\nawsv: this URL opens the console")
    [token] = aws.tokens
    assert token in done.stdout


def test_url_is_copied_by_the_users_own_terminal(person: Home, aws: Federation) -> None:
    child = person.spawn("login", "role")
    child.expect("\x1b]52;c;([A-Za-z0-9+/=]+)\x07")
    url = base64.b64decode(child.match[1]).decode()
    child.expect_exact(url[:150])
    child.wait()
    assert parse_qs(urlsplit(url).query)["SigninToken"] == list(aws.tokens)


def test_interrupt_ends_the_waiting(person: Home, aws: Federation) -> None:
    started = person.root / "started"
    more = f"open({str(started)!r}, 'w').close(); sys.exit(0)"
    child = person.start("login", "--browser", browser(person, more=more), "role", start_new_session=True)
    until(started.exists, "a browser")
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout, stderr.strip()) == (130, "", "awsv: interrupted")
    assert not aws.logins


def test_profile_is_that_of_the_environment(person: Home, aws: Federation, front: RecordingProxy) -> None:
    printed(person, AWS_PROFILE="role", AWS_VAULT="work")
    printed(person, AWS_VAULT="work")
    assert front.actions == ["AssumeRole", "GetCallerIdentity", "GetFederationToken"]


def test_session_of_the_environment_is_used_as_it_is(person: Home, aws: Federation, front: RecordingProxy) -> None:
    session = json.loads(person.awsv("exec", "-j", "role").stdout)
    env = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
        "AWS_REGION": "eu-north-1",
    }
    asked = printed(person, **env)
    assert urlsplit(asked["Destination"]).netloc == "eu-north-1.console.aws.amazon.com"
    assert json.loads(aws.exchanges[0]["Session"])["sessionId"] == session["AccessKeyId"]
    long_term = person.awsv("login", "-s", env={**env, "AWS_SESSION_TOKEN": None})
    assert "the environment holds a long-term key" in long_term.stderr
    policy = person.root / "policy.json"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}')
    for wish in (["-d", "1h"], ["--policy", str(policy)]):  # the session of before would be given, with all its rights
        refused = person.awsv("login", "-s", *wish, env=env)
        assert "takes neither a duration nor a policy" in refused.stderr
        assert (refused.returncode, refused.stdout) == (2, "")
    broken = person.awsv("login", "-s", env={**env, "AWS_SESSION_TOKEN": "a\udcff"})
    assert "AWS_SESSION_TOKEN is not a line of ASCII text" in broken.stderr
    assert (long_term.returncode, broken.returncode) == (2, 2)


def test_policy_narrows_the_session(person: Home, front: RecordingProxy) -> None:
    policy = person.cwd / "policy.json"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}')
    printed(person, "work", "--policy", str(policy))
    printed(person, "role", "--policy", str(policy))
    sent = [call.parameters["Policy"] for call in front.calls if call.action != "GetCallerIdentity"]
    assert sent == ['{"Version":"2012-10-17","Statement":[]}'] * 2


WRONG = {
    "nothing named": ([], "login needs a profile"),
    "unknown profile": (["nobody"], "unknown profile 'nobody'"),
    "printed and isolated": (["-s", "--isolated", "work"], "--stdout opens no browser"),
    "printed in a browser": (["-s", "--browser", "x", "work"], "--stdout opens no browser"),
    "two pages": (["--path", "a", "--service", "b", "work"], "--path and --service both choose the page"),
    "no such browser": (["--browser", "mosaic", "work"], "no program 'mosaic', which --browser names"),
    "no family": (["--browser", "/bin/true", "--isolated", "work"], "neither of the Chromium nor of the Firefox"),
    "no such policy": (["-s", "--policy", "nowhere", "work"], "cannot read the policy nowhere"),
    "chained role with a duration": (["-s", "-d", "1h", "behind"], "cannot have a duration"),
    "too long": (["-s", "-d", "13h", "role"], "15 minutes to 12 hours"),
    "user too long": (["-s", "-d", "37h", "work"], "duration_seconds is not a number of seconds from 900 to 129600"),
    "no duration": (["-s", "-d", "long", "work"], "'long' is not a duration"),
    "region of another partition": (["-s", "--region", "cn-north-1", "role"], "cn-north-1 is in partition aws-cn"),
    "region of nowhere": (["-s", "--region", "mars-1", "role"], "mars-1 is in no AWS partition"),
}


@pytest.fixture(scope="module")
def wrong_home(module_front: RecordingProxy, moto: MotoServer, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("login") / "machine", module_front.url)
    home.configure(CONFIG)
    add(home, moto.alice, "work", "mfa")
    home.env.update({**UNLOCKED, "AWS_VAULT_STS_SIGNIN_URL": "http://127.0.0.1:9/federation"})
    return home


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_makes_no_sense_is_refused(wrong_home: Home, words: list[str], message: str) -> None:
    done = wrong_home.awsv("login", *words)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert message in done.stderr


def test_endpoint_that_is_down_is_one_sentence(wrong_home: Home) -> None:
    done = wrong_home.awsv("login", "-s", "role")
    assert (done.returncode, done.stdout) == (6, "")
    assert "127.0.0.1:9 cannot be reached" in done.stderr


def test_no_profile_chooses_where_the_session_goes(person: Home, aws: Federation) -> None:
    with standing_in(aws._front) as stranger:
        person.configure(CONFIG.replace("[profile role]", f"[profile role]\nvault_sts_signin_url = {stranger.url}"))
        done = person.awsv("login", "-s", "role")
        assert (done.returncode, done.stdout) == (2, "")
        assert "an AWS profile cannot set option 'signin-url' of sts" in done.stderr
        assert (stranger.exchanges, aws.exchanges) == ([], [])


def test_root_users_key_opens_no_console(person: Home, aws: Federation, front: RecordingProxy) -> None:
    body = (
        "<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>x</UserId><Account>{ACCOUNT}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    front.on("GetCallerIdentity", Fault(200, body.encode(), {"Content-Type": "text/xml"}))
    done = person.awsv("login", "-s", "work")
    assert (done.returncode, done.stdout) == (6, "")
    assert "root user" in done.stderr
    assert (front.actions, aws.exchanges) == (["GetCallerIdentity"], [])


def test_stand_in_refuses_what_aws_refuses(person: Home, aws: Federation, front: RecordingProxy) -> None:
    """Sessions of ``exec``, sent as ``login`` would not send them."""
    sessions = {name: json.loads(person.awsv("exec", "-j", "-t", CODE, name).stdout) for name in ("work", "role-mfa")}
    for session, message in (("work", "a session of GetSessionToken"), ("role-mfa", "AssumeRole with DurationSeconds")):
        found = sessions[session]
        names = {"AWS_ACCESS_KEY_ID": "AccessKeyId", "AWS_SECRET_ACCESS_KEY": "SecretAccessKey"}
        env = {name: found[key] for name, key in {**names, "AWS_SESSION_TOKEN": "SessionToken"}.items()}
        done = person.awsv("login", "-s", env=env)
        assert (done.returncode, done.stdout) == (6, "")
        assert "refused the session (HTTP 400)" in done.stderr
        assert message in aws.refusals[-1]
