"""A keychain in memory, for what is the same over every keychain."""

from __future__ import annotations

from vault_plugin_keychain.keychains import Keychain


class Died(BaseException):
    """The process was killed."""


class Fragile(Keychain):
    """A keychain in memory that replaces as macOS does, and whose user dies before the step after so many.

    :param steps: how many changes of the keychain it takes before it dies; None: it lives.
    :param most: the most characters of a text.
    """

    def __init__(self, kept: dict[str, str], steps: int | None = None, most: int | None = None) -> None:
        self.kept = kept
        self.most = most
        self.left = steps
        self.done = 0

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def set(self, name: str, text: str) -> None:
        assert len(text) <= (self.most or 1 << 30)
        if name in self.kept:
            self._step()
            del self.kept[name]
        self._step()
        self.kept[name] = text

    def delete(self, name: str) -> bool:
        if name not in self.kept:
            return False
        self._step()
        del self.kept[name]
        return True

    def _step(self) -> None:
        self.done += 1
        if self.left is not None:
            if self.left == 0:
                raise Died
            self.left -= 1
