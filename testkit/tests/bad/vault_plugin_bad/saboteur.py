"""A good backend whose module breaks the core's splitting: the manifest goes first, then the parts."""

from __future__ import annotations

from typing import Any

from vault_core.api import AtRest, Secret, hookimpl
from vault_core.splitting import Manifest, Split
from vault_plugin_bad.toy import Service, spec


def _put_parts(self: Any, key: Any, data: Any, expect: Any) -> Any:
    pieces = [data[start : start + self._limit] for start in range(0, len(data), self._limit)]
    manifest = Manifest.new(len(pieces), data)
    version = self._inner.put(key, manifest.text(), expect=expect)
    for name, piece in zip(manifest.parts(key), pieces, strict=True):
        self._inner.put(name, Secret(piece))
    return version


Split._put_parts = _put_parts  # type: ignore[method-assign]


@hookimpl
def vault_storage_backends() -> Any:
    return (spec("saboteur", Service, AtRest.SERVICE),)
