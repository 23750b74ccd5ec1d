"""A store that is locked, damaged, closed or not to be written: errors that the core understands, and no harm."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from vault_core import api
from vault_testkit import canary
from vault_testkit.calls import Outcome
from vault_testkit.case import Case, check, fail
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, item_of
from vault_testkit.store_under_test import CORE, StoreUnderTest

_WHY = "the service has the lock; a fixture 'locked' that locks it makes this part run"


def places(target: StoreUnderTest) -> list[Path]:
    """Where the backend may have written."""
    return [*(target.root / name for name in ("data", "state", "tmp", "home")), *target.setup.files]


def state(target: StoreUnderTest) -> dict[str, str]:
    """Everything that is on disk, by path; lock files and empty files tell nothing."""
    found = {}
    for path in canary.files(places(target)):
        data = path.read_bytes()
        if data and not path.name.endswith(("-shm", "-wal", "-journal")):
            found[str(path)] = hashlib.sha256(data).hexdigest()
    return found


def caught(action: Callable[[], object]) -> BaseException | None:
    """What the action raises."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - to be judged
        return error
    return None


class Locked(StoragePart):
    """Without its secret a store refuses, says so, and is as it was."""

    part = "Locked"

    @pytest.fixture
    def locked(self) -> Callable[[], None] | None:
        """For a service with a lock of its own: override it with what locks the service. The part runs then for
        ``at_rest=SERVICE``, too."""
        return None

    @pytest.mark.parametrize("passphrases", [(), ("a wrong passphrase",)], ids=["none", "wrong"])
    def test_locked_refuses(self, case: Case, locked: Callable[[], None] | None, passphrases: tuple[str, ...]) -> None:
        if locked is None:
            case.needs_at_rest(api.AtRest.CORE, api.AtRest.BACKEND, because=_WHY)
        case.open(CORE).put(KEY, api.Secret("kept"))
        if locked is not None:
            locked()
        before = state(case.target)
        shut = case.open(CORE, target=case.target.locked(*passphrases))
        for what, action in (
            ("get()", lambda: shut.get(KEY)),
            ("put()", lambda: shut.put(KEY, api.Secret("other"))),
            ("put() of a new key", lambda: shut.put(OTHER, api.Secret("other"))),
        ):
            error = caught(action)
            check(error is not None, f"{what} worked on a locked store")
            check(
                isinstance(error, api.StorageLocked | api.PassphraseError),
                f"{what} on a locked store raised {type(error).__name__}: StorageLocked is wanted, or what unlock()"
                " raises",
            )
        check(state(case.target) == before, "what was refused for want of a secret changed a file")
        if locked is None:
            holds(case.open(CORE), KEY, "kept")


class Errors(StoragePart):
    """Whatever goes wrong is a :class:`~vault_core.errors.VaultError`, and its message holds no value."""

    part = "Errors"

    def test_errors_closing_twice_is_none(self, case: Case) -> None:
        store = case.open()
        store.get(KEY)
        for _ in range(2):
            error = caught(store.close)
            check(error is None, f"close() raised {type(error).__name__}; it may be called twice")

    def test_errors_after_closing(self, case: Case) -> None:
        """Who uses a closed store may succeed or be refused, but sees no vendor's exception."""
        store = case.open()
        store.get(KEY)
        store.close()
        for what, action in (("get()", lambda: store.get(KEY)), ("keys()", lambda: list(store.keys()))):
            error = caught(action)
            check(error is None or isinstance(error, api.VaultError), f"after close() {what} raised {_type(error)}")

    def test_errors_hold_no_value(self, case: Case) -> None:
        """A conflict is the failure that every store knows."""
        case.needs(api.Capability.CREATE_ONLY | api.Capability.CAS)
        store, there, wanted = case.open(), canary.make(), canary.make()
        store.put(KEY, api.Secret(there))
        error = caught(lambda: store.put(KEY, api.Secret(wanted), expect=api.ABSENT))
        check(isinstance(error, api.StorageConflict), f"a put that expects something else raised {_type(error)}")
        _silent(error, there, wanted)

    def test_errors_of_a_place_that_is_none(self, case: Case) -> None:
        """Where the store's folder should be there is a file."""
        self._files_only(case)
        value = canary.make()
        for name in ("data", "state"):
            (case.target.root / name).write_text("not a folder")
        error = caught(lambda: case.open(CORE).put(KEY, api.Secret(value)))
        check(error is None or isinstance(error, api.VaultError), f"with a file in place of its folder: {_type(error)}")
        _silent(error, value)

    @pytest.mark.parametrize("damage", ["empty", "half", "noise"])
    def test_errors_of_a_damaged_store(self, case: Case, damage: str) -> None:
        """Every file of the store is spoilt: an error, nothing, or the right value, and never another one."""
        self._files_only(case)
        value = canary.make()
        case.open(CORE).put(KEY, api.Secret(value))
        spoilt = [path for path in canary.files(places(case.target)) if path.stat().st_size]
        if not spoilt:
            case.skip(f"{case.spec.name} has no file of its own that could be damaged")
        for path in spoilt:
            data = path.read_bytes()
            path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "noise": b"\0noise\xff" * 64}[damage])
        for what, action in (
            ("get()", lambda: case.open(CORE).get(KEY)),
            ("keys()", lambda: list(case.open(CORE).keys())),
            ("put()", lambda: case.open(CORE).put(OTHER, api.Secret(value))),
        ):
            error = caught(action)
            check(
                error is None or isinstance(error, api.VaultError), f"{what} of a damaged store raised {_type(error)}"
            )
            _silent(error, value)
        if caught(lambda: case.open(CORE).get(KEY)) is None:
            self._right_or_none(case, value)

    def _right_or_none(self, case: Case, value: str) -> None:
        __tracebackhide__ = True
        store = case.open(CORE)
        if store.get(KEY) is not None:
            check(item_of(store, KEY).value == api.Secret(value), "a damaged store gave another value than was put")

    def _files_only(self, case: Case) -> None:
        case.needs_at_rest(api.AtRest.CORE, api.AtRest.BACKEND, because="its files are the service's own")
        if case.can(api.Capability.REMOTE):
            case.skip(f"{case.spec.name} declares REMOTE: its files are not ours to damage")


def _type(error: BaseException | None) -> str:
    return "nothing" if error is None else f"{type(error).__module__}.{type(error).__name__}"


def _silent(error: BaseException | None, *values: str) -> None:
    """Fail if the exception, or one behind it, shows one of the values."""
    __tracebackhide__ = True
    text = Outcome(error=error).text()
    if any(canary.is_in(text, value) for value in values):
        fail(f"a value is in the message or the traceback of {_type(error)}")
