"""The passphrase source ``prompt`` and the MFA source ``terminal``, which ask the user at the terminal.

The host decides whether the user can be asked, switches the echo off and restores the terminal. The plugin provides
only the question (:meth:`vault_core.api.Context.ask`).
"""

from vault_core.api import (
    Context,
    MfaError,
    MfaRequest,
    MfaSource,
    MfaSourceSpec,
    PassphraseError,
    PassphraseRequest,
    PassphraseSource,
    PassphraseSourceSpec,
    Purpose,
    Secret,
    hookimpl,
)

_TRIES = 3
_CODE_DIGITS = 6
"""The length of a TOTP code: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html"""
_SHORT = 8
"""In bytes. An attacker who has a copy of the store can guess a shorter passphrase; the user is only warned."""


class Prompt(PassphraseSource):
    """Asks for a passphrase, and twice for a new one."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, request: PassphraseRequest) -> Secret | None:
        if not request.may_ask:
            return None
        if request.purpose is not Purpose.UNLOCK:
            return self._choose(request.store)
        if request.attempt > 1:
            self._context.notify("wrong passphrase, try again")
        return self._context.ask(f"Passphrase to unlock store '{request.store}': ")

    def _choose(self, store: str) -> Secret:
        for _ in range(_TRIES):
            chosen = self._context.ask(f"New passphrase for store '{store}': ")
            if len(chosen.reveal()) < _SHORT:
                self._context.notify("this passphrase is short: anyone who gets a copy of the store can guess it")
            if chosen == self._context.ask("Repeat passphrase: "):
                return chosen
            self._context.notify("the two passphrases differ")
        raise PassphraseError(f"no passphrase for store '{store}': the two differed {_TRIES} times")


class Terminal(MfaSource):
    """Asks for the code that an MFA device shows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def code(self, request: MfaRequest) -> Secret | None:
        if not request.may_ask:
            return None
        if request.attempt > 1:
            self._context.notify("AWS rejected the code; wait for the next one")
        for _ in range(_TRIES):
            # Echoed: a code can be used once, within seconds, and the user copies it from another screen.
            typed = self._context.ask(f"MFA code for {request.serial}: ", secret=False)
            code = b"".join(typed.reveal().split())  # apps show it as "123 456"
            if code.isdigit() and len(code) == _CODE_DIGITS:
                return Secret(code)
            self._context.notify(f"an MFA code has {_CODE_DIGITS} digits")
        raise MfaError(f"no MFA code for {request.serial}: none of {_TRIES} answers had {_CODE_DIGITS} digits")


@hookimpl
def vault_passphrase_sources() -> tuple[PassphraseSourceSpec, ...]:
    return (
        PassphraseSourceSpec(
            name="prompt", summary="ask for the passphrase at the terminal", open=Prompt, interactive=True
        ),
    )


@hookimpl
def vault_mfa_sources() -> tuple[MfaSourceSpec, ...]:
    return (
        MfaSourceSpec(name="terminal", summary="ask for the MFA code at the terminal", open=Terminal, interactive=True),
    )
