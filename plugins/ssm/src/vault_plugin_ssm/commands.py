"""``awsv ssm``: a passphrase put where the source finds it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import click

from vault_core.api import CommandContext, ConfigError, Context, PassphraseError, Secret
from vault_plugin_ssm.aws_call import Talk
from vault_plugin_ssm.choices import IDENTITIES, Identity, identity, parameter_name, region_name
from vault_plugin_ssm.failures import Failure
from vault_plugin_ssm.put_parameter import Order, Put, put


def _parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that reads an option as the setting of the same name is read."""

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
@click.option("--aws-managed-key", is_flag=True, help="Encrypt with the key that AWS keeps for the whole account.")
@click.option("--ask", is_flag=True, help="Ask for the passphrase instead of generating one.")
@click.option("--overwrite", is_flag=True, help="Replace the value of a parameter that is there.")
@click.option(
    "--credentials",
    metavar="WHO",
    callback=_parsed(identity),
    help=f"Who writes it: {IDENTITIES} (default: who reads it).",
)
@click.option("--region", metavar="NAME", callback=_parsed(region_name), help="Where, if not in the usual region.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
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

    PARAMETER is its name; AWS_VAULT_SSM_PARAMETER is taken if it is left out. The passphrase is generated, and shown
    nowhere. At the end stands the policy that lets one user or role read it, and nothing else.

    \b
    --json prints an object with
      parameter, arn, region, version   what was written
      kms_key    ARN of the key; null for the account's AWS managed key
      generated  whether the passphrase was generated
      policy     the IAM policy for whoever reads it

    \b
    Example:
      awsv ssm put-passphrase /laptop/vault --kms-key alias/awsv --credentials profile:admin
    """
    source = ctx.source("ssm")
    name = parameter or source.options["parameter"]
    if name is None:
        raise ConfigError("no parameter is named", hint="awsv ssm put-passphrase NAME, or set AWS_VAULT_SSM_PARAMETER")
    _require_key(kms_key, aws_managed_key)
    who = credentials or source.options["credentials"]
    if who is None:
        raise PassphraseError(f"nothing says who writes parameter {name}", hint=f"give --credentials {IDENTITIES}")
    talk = Talk(source, who, name, region or source.options["region"])
    if aws_managed_key:
        ctx.note(
            f"the AWS managed key lets everybody of the account decrypt: whoever's policy allows ssm:GetParameter on"
            f" {name} reads the passphrase"
        )
    passphrase = _asked(ctx) if ask else _generated()
    done = put(talk, Order(name, passphrase, kms_key, overwrite=overwrite))
    if isinstance(done, Failure):
        raise done.of_command()
    if as_json:
        return ctx.write_json(done.to_json(generated=not ask))
    return _tell(ctx, source, done, generated=not ask)


def _require_key(kms_key: str | None, aws_managed_key: bool) -> None:
    if bool(kms_key) == aws_managed_key:
        raise ConfigError(
            "give either --kms-key or --aws-managed-key: a key of your own is used only by whom its policy and"
            " theirs allow; with the AWS managed key, everybody in the account who may get the parameter reads it",
            hint="--kms-key KEY, a symmetric key in the parameter's region",
        )


def _asked(ctx: CommandContext) -> Secret:
    first = ctx.ask("New passphrase: ")
    if ctx.ask("Repeat passphrase: ") != first:
        raise PassphraseError("the two are different; nothing was changed")
    return first


def _generated() -> Secret:
    import secrets

    return Secret(secrets.token_urlsafe(32))  # 256 bits, in characters that every tool carries


def _tell(ctx: CommandContext, source: Context, done: Put, *, generated: bool) -> None:
    kind = "a generated passphrase" if generated else "the passphrase"
    told = (
        f"Put {kind} into {done.arn} (version {done.version})",
        "The policy for whoever reads it, and nobody else:",
        json.dumps(done.policy, indent=2),
    )
    ctx.write("\n".join(told))  # at once: what is noted below is said also where 'head' has seen enough
    if done.version > 1:
        ctx.note(f"the passphrase before is still readable as {done.parameter}:{done.version - 1}")
    settings = {"PARAMETER": shlex.quote(done.parameter), "CREDENTIALS": f"…: {IDENTITIES}"}
    for option, value in settings.items():
        if not source.options[option.lower()]:
            ctx.note(f"for the source 'ssm', set AWS_VAULT_SSM_{option}={value}")
