"""The importer ``awsv import aws-vault``."""

from collections.abc import Sequence

from vault_core.api import CommandSpec, hookimpl

FOLDER = "AWS_VAULT_FILE_DIR"
"""The variable of aws-vault for the folder of its items; awsv's file store has the same one."""
PASSPHRASE = "AWS_VAULT_IMPORT_PASSPHRASE"  # noqa: S105 - the name of a variable


@hookimpl
def vault_commands() -> Sequence[CommandSpec]:
    return (
        CommandSpec(
            name="import-aws-vault",
            summary="copy every key of aws-vault's file store",
            target="vault_plugin_aws_vault.commands:command",
            secret_variables=(FOLDER, PASSPHRASE),
        ),
    )
