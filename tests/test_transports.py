"""Two distributions that talk to AWS have one way of doing it, although neither may import the other."""

from __future__ import annotations

from pathlib import Path

import vault_plugin_aws.transport
import vault_plugin_ssm.transport


def test_the_two_transports_are_the_same_to_the_letter() -> None:
    """Make it so: cp plugins/aws/src/vault_plugin_aws/transport.py plugins/ssm/src/vault_plugin_ssm/"""
    one, other = (
        Path(module.__file__).read_text() for module in (vault_plugin_aws.transport, vault_plugin_ssm.transport)
    )
    assert one == other
