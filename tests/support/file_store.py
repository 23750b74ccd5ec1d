"""What the tests of the file store do to one from outside."""

from __future__ import annotations

from vault_plugin_file import container
from vault_plugin_file.backend import FileBackend


def content(store: FileBackend) -> dict[str, str]:
    """Everything that it holds, decrypted."""
    found = {}
    for key in store.keys():  # noqa: SIM118 - a backend is no dictionary
        item = store.get(key)
        assert item is not None
        found[key] = item.value.reveal_text()
    return found


def spoil(store: FileBackend, name: str) -> None:
    """Give one entry of the store the sealed value of another one; the rest stays whole."""
    state = store.store.read()
    assert state is not None
    other = next(key for key in state.entries if key != name)
    entries = {**state.entries, name: container.Entry(state.entries[name].version, state.entries[other].sealed)}
    store.store.file.path.write_bytes(container.encode(state.table, state.dek, state.epoch + 1, entries))
