"""Config lines that run aws-vault, changed to run awsv for the same profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.quoting import PROCESS, process_line, process_words
from vault_core.awsconfig.shared import classify

OTHER = "aws-vault"

PLAIN_FORMS = (
    ("exec", "-j"),
    ("exec", "--json"),
    ("exec", "--format=json"),
    ("export", "--format=json"),
    ("export", "--format", "json"),
)
"""What a line says beside the profile if it is to print its credentials and nothing else."""


@dataclass(slots=True)
class Rewiring:
    """What would be written, and which lines are left alone."""

    after: bytes
    changed: list[str] = field(default_factory=list)
    """Profiles."""
    left: dict[str, str] = field(default_factory=dict)
    """``FILE:LINE`` to why it stays."""


def propose(
    raw: bytes, path: Path, launcher: Path, asked: Callable[[str], str | None], served: Callable[[str], bool]
) -> Rewiring:
    """Work out the change of the config file.

    :param launcher: absolute path of awsv.
    :param asked: from the value of a line to the profile whose credentials it asks for, or None.
    :param served: whether awsv can give them out.
    :raises ConfigError: the file cannot be changed safely.
    """
    document = Document(raw, path)
    rewiring = Rewiring(raw)
    for header, block in document.blocks.items():
        pair = block.pairs.get(PROCESS)
        words = process_words(pair.value) if pair is not None else []
        if pair is None or not words or Path(words[0]).name != OTHER or classify(header)[0] != "profile":
            continue
        profile = asked(pair.value)
        rest = [word for word in words[1:] if word != "--"]
        if profile is None or tuple(word for word in rest if word != profile) not in PLAIN_FORMS:
            rewiring.left[f"{path}:{pair.first + 1}"] = (
                "runs aws-vault with options of its own; 'awsv config aws-vault-shim' has it run awsv all the same"
            )
            continue
        if not served(profile):
            rewiring.left[f"{path}:{pair.first + 1}"] = f"asks for {profile!r}, which awsv could not give it"
            continue
        document.replace(header, PROCESS, process_line(launcher, profile))
        rewiring.changed.append(classify(header)[1])
    if rewiring.changed:
        rewiring.after = document.edited()
    return rewiring
