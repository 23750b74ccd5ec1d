"""Round trips, listing and deletion, by one user of the store."""

from collections.abc import Callable, Iterable

from vault_core.api import Item, Secret, StorageBackend, VaultError
from vault_testkit.case import Case, check, fail, is_ours
from vault_testkit.part import StoragePart
from vault_testkit.store_under_test import LEAST_LIMIT

KEY = "credentials/one"
OTHER = "credentials/two"


def shown(value: object) -> str:
    """A value in a message of the contract: its own test values are not secret, but may be long."""
    text = f"{value.reveal()!r}" if isinstance(value, Secret) else f"{value!r}"
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def item_of(store: StorageBackend, key: str) -> Item:
    """The item under a key, which must be there, and be one."""
    __tracebackhide__ = True
    item = store.get(key)
    check(item is not None, f"get({key!r}) returned None, and the key was put before")
    if not isinstance(item, Item):
        fail(f"get({key!r}) returned {type(item).__name__} in place of an Item")
    check(isinstance(item.value, Secret), f"Item.value is {type(item.value).__name__} in place of a Secret")
    check(isinstance(item.version, str) and item.version, f"Item.version is {item.version!r}: text is wanted")
    return item


def holds(store: StorageBackend, key: str, value: str) -> None:
    """Fail unless the value is under the key."""
    __tracebackhide__ = True
    found = item_of(store, key).value
    check(found == Secret(value), f"{key!r} holds {shown(found)} in place of {shown(Secret(value))}")


def listing(store: StorageBackend) -> list[str]:
    """The keys of a store, each once."""
    __tracebackhide__ = True
    keys = list(store.keys())
    for key in keys:
        check(isinstance(key, str), f"keys() gave {type(key).__name__} in place of text")
    check(len(set(keys)) == len(keys), f"keys() gave some keys more than once: {shown(sorted(keys))}")
    return keys


def lists(store: StorageBackend, expected: Iterable[str]) -> None:
    """Fail unless exactly these keys are there."""
    __tracebackhide__ = True
    keys, wanted = set(listing(store)), set(expected)
    check(not wanted - keys, f"keys() left out {shown(sorted(wanted - keys))}")
    check(not keys - wanted, f"keys() gave what is not there: {shown(sorted(keys - wanted))}")


def raises(kind: type[VaultError], action: Callable[[], object], message: str) -> None:
    """Fail with the message unless the action raises this error."""
    __tracebackhide__ = True
    try:
        action()
    except kind:
        return
    fail(message)


class Basic(StoragePart):
    """One user, a few items: what was put is there, also for who opens the store after it."""

    part = "Basic"

    def test_basic_describes_itself(self, case: Case) -> None:
        """What the spec tells of a place is text, and where the tests run the backend can run."""
        spec, context = case.spec, case.target.context()
        for what, describe in (("locate", spec.locate), ("readers", spec.readers)):
            said: object = describe(context) if describe else "nothing"
            check(isinstance(said, str) and said, f"{what}() returned {said!r} in place of text")
        reason = spec.unavailable(context) if spec.unavailable else None
        check(reason is None, f"unavailable() says that the backend cannot run here: {reason}")
        least = spec.max_value is None or spec.max_value >= LEAST_LIMIT
        check(least, f"max_value is {spec.max_value}; {LEAST_LIMIT} is the least")

    def test_basic_what_was_put_is_there(self, case: Case) -> None:
        store = case.open()
        version = store.put(KEY, Secret("first"))
        check(isinstance(version, str) and version, f"put() returned {version!r} in place of a version")
        holds(store, KEY, "first")
        holds(case.open(), KEY, "first")

    def test_basic_nothing_is_none(self, case: Case) -> None:
        store = case.open()
        check(store.get(KEY) is None, "get() of a key that was never put is not None")
        store.put(KEY, Secret("first"))
        check(store.get(OTHER) is None, "get() of a key that was never put is not None, as another key is there")

    def test_basic_put_replaces(self, case: Case) -> None:
        store = case.open()
        for value in ("a longer first value", "short", "short", "and a much longer value than it was before"):
            store.put(KEY, Secret(value))
            holds(store, KEY, value)
        holds(case.open(), KEY, "and a much longer value than it was before")

    def test_basic_items_are_independent(self, case: Case) -> None:
        store = case.open()
        store.put(KEY, Secret("first"))
        store.put(OTHER, Secret("second"))
        holds(store, KEY, "first")
        store.put(KEY, Secret("third"))
        holds(store, OTHER, "second")

    def test_basic_every_put_makes_a_version(self, case: Case) -> None:
        store = case.open()
        versions = []
        for value in ("one", "two", "two"):
            versions.append(store.put(KEY, Secret(value)))
            version = item_of(store, KEY).version
            check(version == versions[-1], f"put() returned version {versions[-1]!r}, and get() says {version!r}")
        again = item_of(case.open(), KEY).version
        check(again == versions[-1], f"opened anew, the store has version {again!r} in place of {versions[-1]!r}")
        check(len(set(versions)) == len(versions), f"two puts made the same version: {versions}")

    def test_basic_two_open_stores_see_each_other(self, case: Case) -> None:
        first, second = case.open(), case.open()
        first.put(KEY, Secret("of the first"))
        holds(second, KEY, "of the first")
        second.put(KEY, Secret("of the second"))
        holds(first, KEY, "of the second")


class Listing(StoragePart):
    """``keys`` gives exactly what is there."""

    part = "Listing"

    def test_listing_is_exact(self, case: Case) -> None:
        store = case.open()
        lists(store, [])
        store.put(KEY, Secret("1"))
        lists(store, [KEY])
        store.put(OTHER, Secret("2"))
        store.put(KEY, Secret("3"))
        lists(store, [KEY, OTHER])
        lists(case.open(), [KEY, OTHER])

    def test_listing_forgets_what_is_deleted(self, case: Case) -> None:
        store = case.open()
        for key in (KEY, OTHER):
            store.put(key, Secret("1"))
        store.delete(KEY)
        lists(store, [OTHER])
        lists(case.open(), [OTHER])
        store.put(KEY, Secret("2"))
        lists(store, [KEY, OTHER])

    def test_listing_has_no_phantoms(self, case: Case) -> None:
        """Over the whole store: nothing appears that was not put, and what is listed can be read."""
        whole, store = case.foreign(), case.open()
        before = set(listing(whole))
        store.put(KEY, Secret("1"))
        store.delete(KEY)
        after = [key for key in listing(whole) if not is_ours(key)]
        appeared = sorted(set(after) - before)
        check(not appeared, f"a put and a delete made keys() give {shown(appeared)}, which nobody put")
        for key in after[: case.afford(5, "foreign keys", cost=1)]:
            check(whole.get(key) is not None, f"keys() gives {key!r}, and get() says that it is not there")

    def test_listing_of_many_keys(self, case: Case) -> None:
        store = case.open()
        number = case.afford(60, "keys", cost=4, least=3)
        keys = [f"{'credentials' if n % 2 else 'seeds'}/key-{n:03}" for n in range(number)]
        for key in keys:
            store.put(key, Secret(key))
        lists(store, keys)
        for key in keys[::2]:
            store.delete(key)
        lists(store, keys[1::2])
        holds(store, keys[-1 if number % 2 == 0 else -2], keys[-1 if number % 2 == 0 else -2])


class Deletion(StoragePart):
    """``delete`` takes away one item and says whether it was there."""

    part = "Deletion"

    def test_deletion_says_whether_it_was_there(self, case: Case) -> None:
        store = case.open()
        said: object = store.delete(KEY)
        check(said is False, f"delete() of a key that was never put returned {said!r} in place of False")
        store.put(KEY, Secret("1"))
        said = store.delete(KEY)
        check(said is True, f"delete() of a key that is there returned {said!r} in place of True")
        said = store.delete(KEY)
        check(said is False, f"delete() of a key that was just deleted returned {said!r} in place of False")

    def test_deletion_is_for_everybody(self, case: Case) -> None:
        store, other = case.open(), case.open()
        store.put(KEY, Secret("1"))
        holds(other, KEY, "1")
        store.delete(KEY)
        for who in (store, other, case.open()):
            check(who.get(KEY) is None, "get() of a deleted key is not None")

    def test_deletion_spares_the_others(self, case: Case) -> None:
        store = case.open()
        names = (KEY, OTHER, f"{KEY}-more", "seeds/one")
        for key in names:
            store.put(key, Secret(key))
        store.delete(KEY)
        for key in names[1:]:
            holds(store, key, key)

    def test_deletion_and_a_new_beginning(self, case: Case) -> None:
        store = case.open()
        store.put(KEY, Secret("old"))
        store.delete(KEY)
        store.put(KEY, Secret("new"))
        holds(store, KEY, "new")
        holds(case.open(), KEY, "new")
