"""What ``awsv`` requires: in a checkout the folders of our distributions, elsewhere their names.

An installer that has a folder for a name does not look for the name in an index, so an installation from a checkout
takes every distribution of ours from the checkout. A release is built from a copy of this folder alone: see
docs/adr/0027-one-name-to-install.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class CustomMetadataHook(MetadataHookInterface):
    """Makes the dependencies and the extras of the two tables of requirements in ``pyproject.toml``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Complete the table ``project``, for hatchling."""
        standard, extras = self.config["standard"], self.config["extras"]
        metadata["dependencies"] = self._located(standard)
        metadata["optional-dependencies"] = {
            PurePosixPath(folder).name: self._located({requirement: folder}) for requirement, folder in extras.items()
        } | {"all": self._located(extras)}

    def _located(self, folders: Mapping[str, str]) -> list[str]:
        checkout = Path(self.root).parent
        if not (checkout / "core/pyproject.toml").is_file():
            return list(folders)
        return [
            f"{re.split('[<>=]', requirement)[0]} @ {(checkout / folder).as_uri()}"
            for requirement, folder in folders.items()
        ]
