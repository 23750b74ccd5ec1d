"""The hooks of this distribution. Importing them imports no SDK."""

from collections.abc import Sequence

from vault_core.api import CommandSpec, Context, Option, PassphraseSource, PassphraseSourceSpec, hookimpl
from vault_plugin_ssm.choices import Identity, identity, parameter_name, region_name


def _open(context: Context) -> PassphraseSource:
    from vault_plugin_ssm.source import Parameter

    return Parameter(context)


def _unavailable(context: Context) -> str | None:
    """The setting that is missing, or that would run awsv again; no request is sent to AWS."""
    for option in ("parameter", "credentials"):
        if context.options[option] is None:
            return f"AWS_VAULT_SSM_{option.upper()} is not set"
    reader: Identity = context.options["credentials"]
    if line := context.find_recursion(reader.profile) if reader.profile else None:
        return f"{reader} would run awsv again: {line}"
    return None


@hookimpl
def vault_passphrase_sources() -> Sequence[PassphraseSourceSpec]:
    return (
        PassphraseSourceSpec(
            name="ssm",
            summary="a SecureString parameter of AWS SSM; any identity that can read and decrypt it can open the store",
            open=_open,
            options=(
                Option(name="parameter", help="the parameter's name or ARN", parse=parameter_name),
                Option(
                    name="credentials",
                    help="the identity that reads it: profile:NAME, environment, imds or web-identity",
                    parse=identity,
                ),
                Option(
                    name="region",
                    help="its AWS region (default: AWS_REGION, AWS_DEFAULT_REGION, the profile's)",
                    parse=region_name,
                ),
            ),
            remote=True,
            unavailable=_unavailable,
        ),
    )


@hookimpl
def vault_commands() -> Sequence[CommandSpec]:
    return (
        CommandSpec(name="ssm", summary="put a passphrase into AWS SSM", target="vault_plugin_ssm.commands:command"),
    )
