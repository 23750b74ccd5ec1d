"""Every failure that is reported to the user, with its exit code.

A message starts in lower case, names the thing and has no full stop; ``hint`` is one action that helps.
Neither may hold a secret. An exception that is not a :class:`VaultError` is a bug of the code that raised it.
"""


class VaultError(Exception):
    """An expected failure.

    :param message: what happened to what, for a person.
    :param hint: the next action, or None where there is none.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class OutputError(VaultError):
    """Standard output takes no more (exit code 1).

    :param reader_left: the reader closed the pipe; no message is printed.
    """

    def __init__(self, message: str, *, reader_left: bool = False) -> None:
        super().__init__(message)
        self.reader_left = reader_left


class UsageError(VaultError):
    """The command line does not make sense (exit code 2)."""

    exit_code = 2


class ConfigError(VaultError):
    """A setting, a variable or the AWS config file does not make sense (exit code 2)."""

    exit_code = 2


class PluginError(VaultError):
    """A plugin is unknown, broken or in conflict with another (exit code 3)."""

    exit_code = 3


class PluginNotFound(PluginError):
    """No installed distribution offers the name."""


class PluginConflict(PluginError):
    """Two distributions offer one name."""


class PluginDisabled(PluginError):
    """``AWS_VAULT_LOAD_PLUGINS`` does not let the plugin load."""


class PluginLoadError(PluginError):
    """The plugin's module cannot be imported, or does not keep the hookspecs."""


class PluginFault(PluginError):
    """A plugin returned what its contract does not allow; the message names its distribution."""


class StorageError(VaultError):
    """A store cannot do what was asked (exit code 4)."""

    exit_code = 4


class StorageLocked(StorageError):
    """The store is closed to us until a person unlocks it."""


class StorageUnavailable(StorageError):
    """The store does not answer, or does not exist yet."""


class StorageCorrupt(StorageError):
    """The store's content is damaged, forged or written by a newer version."""


class StorageDenied(StorageError):
    """Permissions of the store or of the service forbid it, or the store is read-only."""


class StorageConflict(StorageError):
    """A ``put`` or ``delete`` found another version than the one it expected. Nothing was changed."""


class PassphraseError(VaultError):
    """No passphrase, or a wrong one (exit code 5)."""

    exit_code = 5


class NoSecret(PassphraseError):
    """No source had a secret, and none could ask the user for one."""


class WrongSecret(PassphraseError):
    """Raised by the ``derive`` of ``Context.unlock``: this secret does not open the lock."""


class SessionError(VaultError):
    """No session credentials: MFA, AWS or the network (exit code 6)."""

    exit_code = 6


class MfaError(SessionError):
    """No MFA code, or the person refused to give one."""


class MfaRejected(SessionError):
    """AWS did not accept the MFA code: another one may be asked for."""


class AccessDenied(SessionError):
    """AWS refused. Asking again does not help."""


class CredentialsRefused(AccessDenied):
    """AWS does not accept the credentials: their key is deleted or inactive, or so new that AWS does not know it."""


class NoSuchKey(SessionError):
    """AWS knows no such access key, user or role."""


class TooManyKeys(SessionError):
    """An IAM user has as many access keys as AWS allows."""


class OutcomeUnknown(SessionError):
    """A change was perhaps carried out: the reply was lost or made no sense."""


class PartlyDone(VaultError):
    """Some of the work is done and some is not; the message lists both (exit code 7)."""

    exit_code = 7


class Cancelled(VaultError):
    """Interrupted or declined by the person, or ended by a deadline (exit code 130)."""

    exit_code = 130


class QuestionRefused(Cancelled):
    """The person who was asked declined: Ctrl-C, end of input or an empty answer at a question.

    The host turns it into what the question was for: exit code 5 for a passphrase, 6 for an MFA code.
    """


class SourceUnavailable(VaultError):
    """A passphrase or MFA source is configured but cannot answer now: the host says so and tries the next one.

    Where there is no next one, as it is to keep a key (``slot add --source``), that ends the command.
    """

    exit_code = 5


NO_KEY = (PassphraseError, PluginError, SourceUnavailable)
"""What a passphrase source raises that has no key, cannot keep one or is not installed."""
