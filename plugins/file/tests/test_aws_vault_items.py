"""Folders of aws-vault: recognised by content, never written into, and named.

``tests/fixtures/aws-vault/stores.tgz`` holds two stores that aws-vault 7.2.0 wrote, with made-up keys.
"""

from __future__ import annotations

import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from support.busy import seconds
from vault_core.api import Secret, StorageDenied
from vault_plugin_file.awsvault import count_items
from vault_plugin_file.backend import FileBackend
from vault_testkit.context import FakeContext

ARCHIVE = Path(__file__).parents[3] / "tests/fixtures/aws-vault/stores.tgz"
KEY = "credentials/dev"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("aws-vault")
    with tarfile.open(ARCHIVE) as archive:
        for member in archive.getmembers():
            if member.isfile():
                path = root / member.name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())
    return root


@pytest.mark.parametrize("name", ["store", "store-with-sessions"])
def test_count_items_counts_every_real_item(stores: Any, name: Any) -> None:
    keys = stores / name / "keys"
    assert count_items(keys) == len(list(keys.iterdir())) >= 12
    assert count_items(stores / name) == 0


def test_count_items_ignores_other_files(tmp_path: Path, stores: Any) -> None:
    item = (stores / "store" / "keys" / "default").read_bytes()
    other = b"eyJraWQiOiJ4In0." + item.partition(b".")[2]  # {"kid":"x"}
    for number, data in enumerate([b"", b"eyJ", b"[default]\n", item[:17], b"eyJ!" + item, b"x" + item, other]):
        (tmp_path / f"f{number}").write_bytes(data)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(stores / "store" / "keys" / "default")
    assert count_items(tmp_path) == 0
    (tmp_path / "truncated").write_bytes(item[:100])
    assert count_items(tmp_path) == 1
    assert count_items(tmp_path / "missing") == 0
    assert count_items(tmp_path / "f1") == 0


def test_a_named_pipe_among_items_is_not_read_and_not_waited_for(tmp_path: Path, stores: Any) -> None:
    item = (stores / "store" / "keys" / "default").read_bytes()
    for name in ("empty", "full"):
        os.mkfifo(tmp_path / name)
    full = os.open(tmp_path / "full", os.O_RDWR)
    os.write(full, item)
    counted = []
    thread = threading.Thread(target=lambda: counted.append(count_items(tmp_path)), daemon=True)
    thread.start()
    thread.join(seconds(5))
    os.close(full)
    assert counted == [0]


def test_write_into_a_folder_of_aws_vault_is_refused(stores: Any, tmp_path: Path, ctx: FakeContext) -> None:
    keys = stores / "store" / "keys"
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(StorageDenied) as caught:
        FileBackend(ctx, keys).put(KEY, Secret("x"))
    assert (
        caught.value.message
        == f"{keys} contains {len(before)} items of aws-vault; awsv does not write into such a folder"
    )
    assert caught.value.hint == f"env AWS_VAULT_FILE_DIR={ctx.data_dir} awsv import aws-vault --dir {keys}"
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    assert ctx.unlocked == []


def test_write_into_a_store_with_items_beside_it_is_refused(stores: Any, folder: Any, ctx: FakeContext) -> None:
    FileBackend(ctx, folder).put(KEY, Secret("x"))
    (folder / "default").write_bytes((stores / "store" / "keys" / "default").read_bytes())
    names = sorted(path.name for path in folder.iterdir())
    store = FileBackend(ctx, folder)
    for call in (lambda: store.put(KEY, Secret("y")), lambda: store.delete(KEY)):
        with pytest.raises(StorageDenied, match="contains 1 item of aws-vault"):
            call()
    assert store.get(KEY).value == Secret("x")
    assert sorted(path.name for path in folder.iterdir()) == names


def test_read_of_a_folder_of_aws_vault_notifies_once(stores: Any, tmp_path: Path, ctx: FakeContext) -> None:
    keys = stores / "store" / "keys"
    store = FileBackend(ctx, keys)
    assert store.get(KEY) is None
    assert list(store.keys()) == []
    (note,) = ctx.notes
    assert note.startswith(
        f"no store at {keys}/store.vlt yet, but {len(list(keys.iterdir()))} items of aws-vault in {keys}; "
    )
    assert note.endswith(
        f"to copy their keys: env AWS_VAULT_FILE_DIR={ctx.data_dir} awsv import aws-vault --dir {keys}"
    )


def test_read_notifies_of_the_default_folder_of_aws_vault(stores: Any, tmp_path: Path, folder: Any) -> None:
    home = tmp_path / "home"
    (home / ".awsvault").mkdir(parents=True)
    (home / ".awsvault" / "keys").symlink_to(stores / "store" / "keys")
    context = FakeContext(tmp_path, passphrases=["right"], environ={"HOME": str(home)})
    store = FileBackend(context, folder)
    assert store.get(KEY) is None
    (note,) = context.notes
    assert f"items of aws-vault in {home}/.awsvault/keys; " in note
    assert note.endswith(f"to copy their keys: awsv import aws-vault --dir {home}/.awsvault/keys")
    store.put(KEY, Secret("x"))  # into a folder without items
    assert FileBackend(context, folder).get("credentials/none") is None
    assert len(context.notes) == 1


def test_read_without_items_does_not_notify(ctx: FakeContext, folder: Any) -> None:
    assert FileBackend(ctx, folder).get(KEY) is None
    assert ctx.notes == []


def test_count_items_ignores_our_own_store(ctx: FakeContext, folder: Any) -> None:
    FileBackend(ctx, folder).put(KEY, Secret("x"))
    assert count_items(folder) == 0
