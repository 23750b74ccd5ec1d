"""Remove plain keys from the AWS credentials file, and put the file back."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vault_core.awsconfig.quoting import process_profile, process_words
from vault_core.awsconfig.shared import AwsConfig
from vault_core.awsconfig.write import alone, save
from vault_core.errors import ConfigError, StorageError
from vault_core.importing.backups import Backup, Backups
from vault_core.importing.credentials_file import Removal, propose_removal
from vault_core.importing.record import ImportRecords, digest
from vault_core.secret import Secret
from vault_core.sessions.profiles import own_profile
from vault_core.storage.vault import Vault

_LOCK = "-originals"
"""Purpose of the lock that is held while a backup is written, its file changed and the change recorded."""


@dataclass(frozen=True)
class PlainFile:
    """The AWS credentials file as a file whose plain keys can be removed and put back.

    :param path: the credentials file.
    :param config_file: the AWS config file.
    :param read: reads one of the two files; raises ConfigError.
    :param backups: kept in the vault of the default store.
    :param records: say what was copied.
    :param locks: see :func:`~vault_core.awsconfig.write.save`.
    """

    path: Path
    config_file: Path
    read: Callable[[Path], bytes]
    backups: Backups
    records: ImportRecords
    locks: Path

    def require_copied(self, raw: bytes) -> None:
        """Check that the file is in the state that was copied.

        :raises ConfigError: nothing was copied from it.
        :raises StorageError: it has changed since the copy.
        """
        record = self.records.read(self.path)
        if record is None:
            raise ConfigError(f"nothing was copied from {self.path} yet", hint="awsv import credentials-file")
        if record.digest != digest(raw):
            raise StorageError(
                f"{self.path} has changed since it was copied; nothing was removed",
                hint="'awsv import credentials-file' copies the changes",
            )

    def propose(self, raw: bytes, launcher: Path, vault: Callable[[str], Vault]) -> Removal:
        """Work out the file without the keys that can be removed.

        :param launcher: absolute path of awsv.
        :param vault: from a profile to its vault.
        """
        config = AwsConfig.parse(self.read(self.config_file), raw, self.config_file, self.path)

        def asks(line: str) -> str | None:
            words = process_words(line)
            ours = bool(words) and Path(words[0]).name.startswith("awsv")
            with suppress(ConfigError):  # with options of its own, a line of awsv asks for other credentials
                return process_profile(line, launcher) or (own_profile(line) if ours else None)
            return None

        return propose_removal(config, raw, asks, lambda name, key: vault(name).holds(name, key))

    def obstacle(self) -> str | None:
        """Why awsv must not write the file, as a sentence; None if it may."""
        if self.path.is_symlink():
            return f"{self.path} is a symbolic link to {os.path.realpath(self.path)}, which another tool may manage"
        if not self.path.stat().st_mode & 0o222 or not os.access(self.path, os.W_OK):
            return f"{self.path} is read-only"
        if not os.access(self.path.parent, os.W_OK):
            return f"the folder of {self.path} is read-only"
        return None

    def remove(self, removal: Removal, *, write: bool) -> None:
        """Back up the file, then replace it.

        :param write: False: only back it up, for a file that the user changes with the patch.
        :raises VaultError: the file is unchanged.
        """
        self.backups.read()  # may prompt, so before the lock
        with alone(self.path, self.locks, _LOCK):
            self.backups.push(removal.before, self.mode(), removal.after)
            if write:
                save(self.path, removal.before, removal.after, locks=self.locks)
                self.records.write(self.path, removal.after, self.records.copied(self.path, removal.before))

    def restore(self, *, overwrite: bool) -> None:
        """Put the latest backup back, with its permissions.

        :param overwrite: even if the file was changed since; its present content is backed up.
        :raises StorageError: there is no backup, or the file was changed since.
        """
        self.backups.read()  # may prompt, so before the lock
        with alone(self.path, self.locks, _LOCK):
            self._restore(overwrite=overwrite)

    def _restore(self, *, overwrite: bool) -> None:
        kept = self.backups.read()
        if not kept:
            raise StorageError(
                f"the store holds no backup of {self.path}",
                hint="only the changes of 'awsv import --remove-plain' can be undone",
            )
        last, raw = kept.pop(), self.read(self.path)
        content = last.content.reveal()
        if raw != content and digest(raw) != last.left:
            if not overwrite:
                raise StorageError(
                    f"{self.path} was changed since its keys were removed; nothing was put back",
                    hint="'awsv import undo --overwrite' replaces it, and keeps its present content in the vault",
                )
            # Both backups are kept until the file is back: if the process is stopped, the next undo finds them.
            now = Backup(Secret(raw), self.mode(), digest(content))
            self.backups.write([*kept, now, last])
            kept.append(now)
        if raw != content or self.mode() != last.mode:
            save(self.path, raw, content, mode=last.mode, locks=self.locks)
        record = self.records.read(self.path)
        self.records.write(self.path, content, record.profiles if record else ())
        self.backups.write(kept)

    def mode(self) -> int:
        """The permissions of the file; 0600 if it does not exist."""
        try:
            return stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError:
            return 0o600
