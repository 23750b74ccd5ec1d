"""Errors for what STS refuses."""

from __future__ import annotations

from dataclasses import dataclass

from vault_botocore.failures import Attempt, Refusal
from vault_core.api import AccessDenied, MfaRejected, SessionError


@dataclass(frozen=True, slots=True, kw_only=True)
class StsAttempt(Attempt):
    """One call of STS, for the messages about it."""

    role: str | None
    """The role to assume; None for GetSessionToken."""
    mfa_serial: str | None
    identity: bool = False
    """The call is GetCallerIdentity."""
    federation: bool = False
    """The call is GetFederationToken."""

    def refused(self, refusal: Refusal) -> SessionError:
        if refusal.is_denied:
            return self._denied(refusal.message)
        hint = None
        if "DurationSeconds" in refusal.message:
            hint = "lower duration_seconds"
        elif refusal.code == "RegionDisabledException":
            hint = "activate STS in the region, or set another region"
        return SessionError(f"AWS refused {self._what}: {refusal.reason}", hint=hint)

    @property
    def _what(self) -> str:
        if self.identity:
            return f"to identify {self.caller}"
        if self.federation:
            return f"a session for the console to {self.caller}"
        return f"to assume {self.role}" if self.role else f"a session token to {self.caller}"

    def _denied(self, message: str) -> SessionError:
        if "MultiFactorAuthentication failed" in message:
            if "serial number" in message:
                text = f"AWS does not accept codes of {self.mfa_serial} from the user of {self.caller}: {message}"
                return AccessDenied(text, hint="correct mfa_serial")
            text = f"AWS did not accept the MFA code for {self.mfa_serial}"
            return MfaRejected(text, hint="wait for the device's next code, then repeat")
        text = f"AWS refused {self._what}: {message or 'access denied'}"
        if self.federation:
            text += "; GetFederationToken takes no MFA code"
            return AccessDenied(text, hint="allow the user sts:GetFederationToken, or log in by a profile with a role")
        if self.role is None:
            return AccessDenied(text, hint="check the policies of the user")
        mfa = "" if self.mfa_serial else "; a role that demands MFA needs mfa_serial in the profile"
        return AccessDenied(text, hint=f"check the role's trust policy and the caller's policies{mfa}")
