"""What the commands that hand out credentials leave for the hot path."""

from contextlib import suppress

from vault_core.cli.app import App
from vault_core.errors import VaultError
from vault_core.fast.leave import Answer, leave
from vault_core.sessions.child import child_environment, credential_variables
from vault_core.sessions.engine import IssuedCredentials
from vault_core.sessions.formats import FORMATS
from vault_core.sessions.inherited_files import Inherited, named_paths
from vault_core.sessions.plan import KeyStep, Plan
from vault_core.sessions.profiles import SessionOptions
from vault_core.settings import REMOVED


def leave_memo(app: App, plan: Plan, issued: IssuedCredentials, options: SessionOptions) -> None:
    """Leave a memo of an answer, or remove an earlier one.

    There is none of a session that is new (its file has just changed), of an answer about which there is something to
    say each time, and where a plugin decides by what only it knows: whose login it is, for example.
    """
    if options != SessionOptions() or app.settings.flags:
        return
    first = plan.steps()[0]
    principal = first.store.spec.principal if isinstance(first, KeyStep) else None
    answered = None
    if issued.served_until is not None and not plan.notes and principal is None:
        with suppress(VaultError):  # it cannot be printed in one of the forms
            answered = _answer(app, plan, issued, issued.served_until)
    leave(app.settings, plan.profile, answered, app.plugins.packages())


def _answer(app: App, plan: Plan, issued: IssuedCredentials, until: float) -> Answer:
    environ = app.settings.environ.texts
    inherited = Inherited.now(environ, app.settings.explicit_values(), app.open_files)
    left = child_environment(environ, app.host.secret_variables(), inherited.naming, ())
    given = credential_variables(plan.profile, issued.credentials, plan.region)
    if REMOVED in left:
        given[REMOVED] = left[REMOVED]
    json, env = (FORMATS[form](plan.profile, issued.credentials, plan.region) for form in ("json", "env"))
    return Answer(
        until=until,
        json=json,
        env=env,
        given=given,
        hidden=environ.keys() - left.keys(),
        can_exec=not inherited.naming and not inherited.configured and REMOVED not in environ,
        paths=named_paths(environ, app.settings.explicit_values()),
    )
