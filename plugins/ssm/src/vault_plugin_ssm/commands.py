"""``awsv ssm``: puts a passphrase where the source finds it."""

import json
import secrets
import shlex
from collections.abc import Callable
from typing import Any

import click

from vault_botocore.failures import Failure
from vault_core.api import CommandContext, ConfigError, Context, PassphraseError, Secret
from vault_plugin_ssm.aws_call import AwsCalls
from vault_plugin_ssm.choices import IDENTITIES, Identity, identity, parameter_name, region_name
from vault_plugin_ssm.put_parameter import Put, put


def _parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that parses an option like the setting of the same name."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, parameter) from None

    return callback


@click.group("ssm")
def command() -> None:
    """Put a passphrase into AWS SSM.

    \b
    Example:
      awsv ssm put-passphrase --kms-key alias/awsv --credentials profile:admin
    """


@command.command("put-passphrase")
@click.argument("parameter", required=False, callback=_parsed(parameter_name))
@click.option("--kms-key", metavar="KEY", help="Encrypt with this key of KMS: its id, alias/NAME or ARN.")
@click.option("--aws-managed-key", is_flag=True, help="Encrypt with the account's AWS managed key.")
@click.option("--ask", is_flag=True, help="Ask for the passphrase instead of generating one.")
@click.option("--overwrite", is_flag=True, help="Replace the value of an existing parameter.")
@click.option(
    "--credentials",
    metavar="IDENTITY",
    callback=_parsed(identity),
    help=f"The identity that writes: {IDENTITIES} (default: the one that reads).",
)
@click.option("--region", metavar="NAME", callback=_parsed(region_name), help="The region, if not the usual one.")
@click.option("--json", "as_json", is_flag=True, help="Output JSON.")
@click.pass_obj
def put_passphrase(
    ctx: CommandContext,
    parameter: str | None,
    kms_key: str | None,
    aws_managed_key: bool,
    ask: bool,
    overwrite: bool,
    credentials: Identity | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Make the SecureString parameter that holds a store's passphrase.

    PARAMETER is its name (default: AWS_VAULT_SSM_PARAMETER). The passphrase is generated, and never shown. At the end
    the command prints the policy that allows a user or role to read it, and nothing else.

    \b
    --json prints an object with
      parameter, arn, region, version   what was written
      kms_key    ARN of the key; null for the account's AWS managed key
      generated  whether the passphrase was generated
      policy     the IAM policy for the identity that reads it

    \b
    Example:
      awsv ssm put-passphrase /laptop/vault --kms-key alias/awsv --credentials profile:admin
    """
    source = ctx.source("ssm")
    name = parameter or source.options["parameter"]
    if name is None:
        raise ConfigError("no parameter is named", hint="give PARAMETER, or set AWS_VAULT_SSM_PARAMETER")
    _require_key(kms_key, aws_managed_key)
    who = credentials or source.options["credentials"]
    if who is None:
        raise PassphraseError(f"no identity is set to write parameter {name}", hint=f"give --credentials {IDENTITIES}")
    calls = AwsCalls(source, who, name, region or source.options["region"])
    if aws_managed_key:
        ctx.note(
            "with the AWS managed key, anyone in the account allowed to"
            f" ssm:GetParameter {name} can read the passphrase"
        )
    # Generated: 256 bits, in characters that are safe in every tool.
    passphrase = _ask(ctx) if ask else Secret(secrets.token_urlsafe(32))
    done = put(calls, passphrase, kms_key, overwrite=overwrite)
    if isinstance(done, Failure):
        raise done.error
    if as_json:
        return ctx.write_json(done.to_json(generated=not ask))
    return _report(ctx, source, done, generated=not ask)


def _require_key(kms_key: str | None, aws_managed_key: bool) -> None:
    if bool(kms_key) == aws_managed_key:
        raise ConfigError(
            "give either --kms-key or --aws-managed-key: your own key decrypts only for those that its policy allows;"
            " with the AWS managed key, anyone in the account allowed to get the parameter can read it",
            hint="--kms-key KEY, a symmetric key in the parameter's region",
        )


def _ask(ctx: CommandContext) -> Secret:
    first = ctx.ask("New passphrase: ")
    if ctx.ask("Repeat passphrase: ") != first:
        raise PassphraseError("the two passphrases differ; nothing was changed")
    return first


def _report(ctx: CommandContext, source: Context, done: Put, *, generated: bool) -> None:
    kind = "a generated passphrase" if generated else "the passphrase"
    lines = (
        f"Put {kind} into {done.arn} (version {done.version})",
        "The policy for the identity that reads it:",
        json.dumps(done.policy, indent=2),
    )
    ctx.write("\n".join(lines))  # in one piece: the notes below appear even if the reader is 'head'
    if done.version > 1:
        ctx.note(f"the previous passphrase can still be read as {done.parameter}:{done.version - 1}")
    settings = {"PARAMETER": shlex.quote(done.parameter), "CREDENTIALS": f"…: {IDENTITIES}"}
    for option, value in settings.items():
        if not source.options[option.lower()]:
            ctx.note(f"for the source 'ssm', set AWS_VAULT_SSM_{option}={value}")
