"""``awsv login``: open the web console with a session of a profile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import click

from vault_core import files, output
from vault_core.cli.app import App
from vault_core.cli.harden import inherited_umask
from vault_core.cli.options import profile_name, subcommand
from vault_core.cli.sessions import session_options
from vault_core.command_line import command_line
from vault_core.console import browser as browsers
from vault_core.console.handover import Loopback, page
from vault_core.errors import PartlyDone, SessionError, StorageError, UsageError
from vault_core.secret import Secret
from vault_core.sessions.console import ENVIRONMENT, read_policy
from vault_core.sessions.profiles import SessionOptions
from vault_core.terminal import Terminal

BROWSER_SECONDS = 60.0
"""How long a browser may take to ask for the page: a cold start on a busy machine."""
PAGE_SECONDS = 20.0
"""How long a page in a file is there: nothing tells that it was read."""
VALID = "anyone who has it within 15 minutes can use it"


class _Failed(Exception):
    """The browser ended with an error; the text says how."""


@subcommand("login")
@click.argument("profile", required=False, callback=profile_name)
@click.option("--path", metavar="PAGE", help="The page of the console, as in its URLs: s3/buckets?tab=objects.")
@click.option("--service", metavar="NAME", help="The service whose home page is shown: ec2.")
@click.option("--policy", type=click.Path(path_type=Path), help="A policy in JSON that narrows the session.")
@click.option("--browser", metavar="NAME|PATH", help="The browser to use.")
@click.option("--isolated", is_flag=True, help="Use a browser profile of its own for each AWS profile.")
@click.option("-s", "--stdout", "printed", is_flag=True, help="Print the URL, a credential, and open no browser.")
@session_options
@click.pass_obj
def command(
    app: App,
    profile: str | None,
    path: str | None,
    service: str | None,
    policy: Path | None,
    browser: str | None,
    isolated: bool,
    printed: bool,
    options: SessionOptions,
) -> int:
    """Open the AWS console in a browser.

    Without a profile: that of AWS_PROFILE, of the awsv shell, or the session of the environment.

    \b
    Examples:
      awsv login work
      awsv login --isolated prod          two accounts side by side
      awsv login --stdout work | pbcopy   for a browser elsewhere
    """
    if printed and (isolated or browser):
        raise UsageError("--stdout opens no browser", hint=f"omit {'--isolated' if isolated else '--browser'}")
    if path is not None and service is not None:
        raise UsageError("--path and --service both choose the page", hint="omit one of them")
    if browser:
        app.settings.flags["browser"] = browser
    profile = profile or _profile_of(app.settings.environ)
    name = profile or ENVIRONMENT
    chosen = None if printed else _choose(app, profile, isolated=isolated)
    options = replace(options, policy=None if policy is None else read_policy(policy))
    asking = app.asking_for_sessions(machine=False)
    url = app.client.console_url(profile, options, path=path, service=service, asking=asking)
    if chosen is None:
        _print(app, url, told=not printed)
        return 0
    try:
        _open(app, chosen, url, command_line("awsv login --stdout", *([profile] if profile else [])))
    except _Failed as failed:
        app.note(str(failed))
        _print(app, url, told=True)
        return PartlyDone.exit_code
    app.note(f"the console of {name} is open in {chosen.name}")
    return 0


def _profile_of(environ: Mapping[str, str]) -> str | None:
    """The profile of the environment; None: its session, if it has one."""
    name = environ.get("AWS_PROFILE") or environ.get("AWS_VAULT")
    return profile_name(click.get_current_context(), click.Argument(["profile"]), name) if name else None


def _choose(app: App, profile: str | None, *, isolated: bool) -> browsers.Browser | None:
    """The browser, found before anybody is asked for a code; None where there is none."""
    try:
        found = browsers.choose(app.settings.value("browser"), app.settings.environ, isolated=isolated)
    except browsers.NoBrowser as error:
        app.note(f"no browser is started: {error}")
        return None
    if not isolated:
        return found
    folder = browsers.profile_folder(app.settings.make_state_dir(), profile)
    found = found.with_profile(folder)
    try:
        for own in (folder, folder / str(found.family)):
            files.make_folder(own, secret=True)
    except OSError as error:
        raise StorageError(f"cannot make the browser's folder {folder}: {error.strerror or error}") from None
    return found


def _open(app: App, browser: browsers.Browser, url: Secret, printing: str) -> None:
    """Hand the address to the browser and wait until it has it.

    :param printing: the command that prints the address, for the hint.
    :raises _Failed: the browser ended with an error.
    :raises SessionError: it did not ask for the address.
    """
    with ExitStack() as stack:
        served = None if browser.is_elsewhere else stack.enter_context(Loopback(url))
        if served is not None and served.knows_users:
            address = served.address
        else:
            served, address = None, stack.enter_context(page(_page_folder(app), url))
        try:
            child = browser.start(address, app.host.child_environ(), umask=inherited_umask())
        except OSError as error:
            raise _Failed(f"{browser.name} cannot be started: {error.strerror}") from None

        def check() -> None:
            _refuse_failed(browser, child)

        if served is None:
            until = time.monotonic() + PAGE_SECONDS
            while time.monotonic() < until:
                check()
                time.sleep(0.1)
        elif not served.serve(time.monotonic() + BROWSER_SECONDS, check):
            raise SessionError(
                f"{browser.name} did not ask for the page within {BROWSER_SECONDS:.0f} s",
                hint=f"'{printing}' prints the URL for a browser of your choice",
            )


def _refuse_failed(browser: browsers.Browser, child: Popen[bytes]) -> None:
    """:raises _Failed: the browser has ended with an error. One that ended without has handed the address on."""
    if code := child.poll():
        raise _Failed(f"{browser.name} failed ({f'exit code {code}' if code > 0 else f'signal {-code}'})")


def _page_folder(app: App) -> Path:
    """The private runtime folder, or the state folder where there is none."""
    folder = app.settings.runtime_dir / "login"
    try:
        files.make_folder(folder, secret=True)
    except OSError:
        folder = app.settings.make_state_dir() / "login"
    return folder


def _print(app: App, url: Secret, *, told: bool) -> None:
    """Print the address, which is data.

    :param told: the user did not ask for it: say what it is, and copy it.
    """
    if told:
        copied = app.host.cannot_ask() is None and Terminal().copy(url)
        more = "; terminals that allow it have it in the clipboard" if copied else ""
        output.notice(f"this URL opens the console, and {VALID}{more}")
    app.write_credentials(url.reveal_text())
