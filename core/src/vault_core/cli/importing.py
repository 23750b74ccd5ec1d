"""Import a scan and show the result, for ``import``, ``copy`` and the importers of plugins."""

from collections.abc import Callable, Sequence

from vault_core import output
from vault_core.cli.app import App
from vault_core.cli.key_slots import offer_recovery
from vault_core.cli.text import counted, difference, reasons
from vault_core.errors import PartlyDone
from vault_core.importing.copy import ImportedKey, ImportReport, State
from vault_core.importing.vaults import Vaults
from vault_core.sessions.identify import KeyCheck
from vault_core.sessions.profiles import Profiles, SessionOptions


def show(app: App, report: ImportReport, *, as_json: bool) -> PartlyDone | None:
    """Print the report.

    :returns: the failure to raise at the end, if some keys were not stored.
    """
    if as_json:
        app.write_json(report)
    else:
        _write_table(app, report)
    arrived, places = len(report.arrived), ", ".join(report.places)
    if report.dry_run:
        keys = counted(len(report.keys), "key")
        app.note(f"nothing was written: {arrived} of {keys} would be stored in {places or 'the vault'}")
    elif missing := report.missing:
        conflicts = any(key.state is State.CONFLICT for key in report.keys)
        return PartlyDone(
            f"{arrived} of {counted(len(report.keys) + len(report.rejected), 'key')} from {report.source} are in the"
            f" vault; not stored: {reasons(missing)}",
            hint="--overwrite replaces the stored keys" if conflicts else "fix the cause, then repeat the command",
        )
    elif report.keys:
        is_or_are = "is" if arrived == 1 else "are"
        app.note(
            f"{counted(arrived, 'key')} from {report.source} {is_or_are} in {places}: each was read back and compared"
        )
    else:
        app.note(f"{report.source} contains no long-term keys")
    return None


def offer_recovery_keys(app: App, vaults: Vaults) -> None:
    """Name each store that the import created, and offer a recovery key for it."""
    for vault in vaults.created():
        if table := vault.slots():
            slots = ", ".join(slot.describe() for slot in table.slots)
            app.note(f"{vault.store.place} is new; it opens with: {slots}")
        offer_recovery(app, vault.store.context, vault)


def _write_table(app: App, report: ImportReport) -> None:
    rows = [(key.profile, key.access_key_id, _result(key), _owner(key.check)) for key in report.keys]
    rows += [(name, "-", "session: not imported", "") for name in report.sessions]
    rows += [(entry.name, "-", f"cannot be imported: {entry.reason}", "") for entry in report.rejected]
    columns = 4 if any(key.check for key in report.keys) else 3
    if rows:
        app.write_table(("Profile", "Access key", "Result", "Owner")[:columns], [row[:columns] for row in rows])


def _result(key: ImportedKey) -> str:
    return f"{key.state.text}: {key.reason}" if key.reason else key.state.text


def _owner(check: KeyCheck | None) -> str:
    if check is None:
        return ""
    duplicate = f"; duplicate of {check.duplicate_of}" if check.duplicate_of else ""
    if check.state == "alive":
        return f"{check.account} {(check.arn or '').split(':', 5)[-1]}{duplicate}"
    return f"{'dead' if check.state == 'dead' else 'not checked'}: {check.reason}{duplicate}"


def replace_lines(
    app: App, profile_of: Callable[[Sequence[str]], str | None], vaults: Vaults, report: ImportReport, *, yes: bool
) -> None:
    """Offer to change the lines of the AWS config that run the program of a plugin: see
    :meth:`vault_core.api.CommandContext.import_keys`.
    """
    from vault_core.awsconfig.shared import AwsConfig
    from vault_core.awsconfig.write import save
    from vault_core.importing.config_lines import Available, propose
    from vault_core.sessions.plan import Planner

    path, credentials = app.settings.aws_config_file, app.settings.aws_credentials_file
    raw, plain = app.host.read(path), app.host.read(credentials)

    def availability(after: bytes) -> Available:
        profiles = Profiles(AwsConfig.parse(after, plain, path, credentials), app.settings.environ)
        return Available(Planner(app.host, profiles, app.client.generations, SessionOptions()), vaults, report)

    changes = propose(raw, path, app.launcher, profile_of, availability)
    for place, why in changes.kept.items():
        app.note(f"not changed: {place} {why}")
    if not changes.changed:
        return
    output.to_stderr(f"{difference(raw, changes.after, path)}\n")
    lines = f"{counted(len(changes.changed), 'line')} of {path}"
    if report.dry_run:
        app.note(f"{lines} would be changed like this, to run awsv")
    elif not yes and app.host.cannot_ask():
        app.note(f"{lines} can be changed like this, to run awsv; --yes changes them")
    elif yes or app.confirm(f"Change {path} like this?", flag="--yes"):
        save(path, raw, changes.after, locks=app.config_locks)
        app.note(f"changed {lines}, to run awsv")
    else:
        app.note(f"{path} was not changed")
