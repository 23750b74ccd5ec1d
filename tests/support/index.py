"""A package index on loopback that offers hostile releases of our own names, and records which projects are requested.

Installers read the "simple" pages of PEP 503 and take the newest version: an installer that asks this index for one of
our names gets version 99 of it, or 0.99 if our distributions require a version below 1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

from vault_core.plugins.discovery import normalise

HOSTILE = ("99", "0.99")
"""The versions of the hostile releases."""


class Index:
    """A folder that is served as an index.

    :param url: of its simple pages.
    """

    def __init__(self, url: str) -> None:
        self.requested: set[str] = set()
        """The normalised names of the projects whose page was requested."""
        pip = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": url, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.environment = {**pip, "UV_NO_CONFIG": "1", "UV_DEFAULT_INDEX": url}
        """Variables with which pip and uv know this index and no other."""


@contextmanager
def serve(folder: Path, wheels: Path, hostile: Iterable[str]) -> Iterator[Index]:
    """Serve an index on loopback.

    :param folder: an empty folder, for the pages.
    :param wheels: a folder of wheels to offer; those of the hostile names are not.
    :param hostile: names of projects whose releases are hostile; they have no code.
    """
    files = {name: [_hostile_wheel(folder, name, version) for version in HOSTILE] for name in hostile}
    for wheel in wheels.glob("*.whl"):
        name = normalise(wheel.name.partition("-")[0])
        if name not in hostile:
            (folder / wheel.name).symlink_to(wheel)
            files.setdefault(name, []).append(wheel)
    for name, versions in files.items():
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text("".join(f'<a href="/{wheel.name}">{wheel.name}</a>\n' for wheel in versions))

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if self.path.startswith("/simple/"):
                index.requested.add(self.path.split("/")[2])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as server:
        index = Index(f"http://127.0.0.1:{server.server_port}/simple/")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()


def _hostile_wheel(folder: Path, name: str, version: str) -> Path:
    label = f"{name.replace('-', '_')}-{version}"
    info = f"{label}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel = folder / f"{label}-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD")))
    return wheel
