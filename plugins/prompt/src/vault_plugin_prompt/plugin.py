"""The passphrase source ``prompt`` and the MFA source ``terminal``, which ask the user at the terminal.

The host decides whether the user can be asked, switches the echo off and restores the terminal. The plugin provides
only the question (:meth:`vault_core.api.Context.ask`).
"""

from vault_core import api

_TRIES = 3
_CODE_DIGITS = 6
"""The length of a TOTP code: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html"""
_SHORT = 8
"""In bytes. An attacker who has a copy of the store can guess a shorter passphrase; the user is only warned."""


class Prompt(api.PassphraseSource):
    """Asks for a passphrase, and twice for a new one."""

    def __init__(self, context: api.Context) -> None:
        self._context = context

    def get(self, request: api.PassphraseRequest) -> api.Secret | None:
        if not request.may_ask:
            return None
        if request.purpose is not api.Purpose.UNLOCK:
            return self._choose(request.store)
        if request.attempt > 1:
            self._context.notify("wrong passphrase, try again")
        return self._context.ask(f"Passphrase to unlock store '{request.store}': ")

    def _choose(self, store: str) -> api.Secret:
        for _ in range(_TRIES):
            chosen = self._context.ask(f"New passphrase for store '{store}': ")
            if len(chosen.reveal()) < _SHORT:
                self._context.notify("this passphrase is short: anyone who gets a copy of the store can guess it")
            if chosen == self._context.ask("Repeat passphrase: "):
                return chosen
            self._context.notify("the two passphrases differ")
        raise api.PassphraseError(f"no passphrase for store '{store}': the two differed {_TRIES} times")


class Terminal(api.MfaSource):
    """Asks for the code that an MFA device shows."""

    def __init__(self, context: api.Context) -> None:
        self._context = context

    def code(self, request: api.MfaRequest) -> api.Secret | None:
        if not request.may_ask:
            return None
        if request.attempt > 1:
            self._context.notify("AWS rejected the code; wait for the next one")
        for _ in range(_TRIES):
            # Echoed: a code can be used once, within seconds, and the user copies it from another screen.
            typed = self._context.ask(f"MFA code for {request.serial}: ", secret=False)
            code = b"".join(typed.reveal().split())  # apps show it as "123 456"
            if code.isdigit() and len(code) == _CODE_DIGITS:
                return api.Secret(code)
            self._context.notify(f"an MFA code has {_CODE_DIGITS} digits")
        raise api.MfaError(f"no MFA code for {request.serial}: none of {_TRIES} answers had {_CODE_DIGITS} digits")


@api.hookimpl
def vault_passphrase_sources() -> tuple[api.PassphraseSourceSpec, ...]:
    return (
        api.PassphraseSourceSpec(
            name="prompt", summary="ask for the passphrase at the terminal", open=Prompt, interactive=True
        ),
    )


@api.hookimpl
def vault_mfa_sources() -> tuple[api.MfaSourceSpec, ...]:
    return (
        api.MfaSourceSpec(
            name="terminal", summary="ask for the MFA code at the terminal", open=Terminal, interactive=True
        ),
    )
