"""Generations: whatever happens to their files, none that was there before is ever current again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vault_core.folders import Untrusted
from vault_core.sessions import generations as module
from vault_core.sessions.generations import Generations

DAYS = 24 * 3600


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "generations")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "generations").iterdir())


def another_process(tmp_path: Path) -> Generations:
    """The same files; a process looks at all of them at its first change."""
    return Generations(tmp_path / "generations")


CHANGES: dict[str, Callable[[Generations], None]] = {
    "the key": lambda some: some.advance("store", "work"),
    "everything": lambda some: some.advance_all(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_a_key_has_a_generation_of_its_own(
    generations: Generations, change: Callable[[Generations], None]
) -> None:
    seen = [generations.current("store", "work")]
    for _ in range(5):
        change(generations)
        assert generations.current("store", "work") == generations.current("store", "work")
        seen.append(generations.current("store", "work"))
    assert seen[0] == ""
    assert len(set(seen)) == 6


def test_a_change_is_of_one_key_in_one_store(generations: Generations) -> None:
    generations.advance("store", "work")
    assert generations.current("store", "play") == generations.current("other", "work") == ""
    assert generations.of_profile("work") == ""


def test_a_profile_that_is_cleared_again_and_again(generations: Generations) -> None:
    seen = [generations.of_profile("work")]
    for _ in range(3):
        generations.advance_profile("work")
        seen.append(generations.of_profile("work"))
    generations.advance_all()
    seen.append(generations.of_profile("work"))
    assert len(set(seen)) == 5
    assert generations.of_profile("play") not in seen[:-1]


@pytest.mark.parametrize("damage", ["empty", "too long", "no text", "open to others", "a link", "a pipe", "a folder"])
def test_a_damaged_generation_is_none_that_ever_was(tmp_path: Path, generations: Generations, damage: str) -> None:
    generations.advance("store", "work")
    before = {"", generations.current("store", "work")}
    [file] = files(tmp_path)
    match damage:
        case "empty":
            file.write_bytes(b"")
        case "too long":
            file.write_bytes(b"x" * 65)
        case "no text":
            file.write_bytes(b"\xff")
        case "open to others":
            file.chmod(0o666)
        case _:
            file.rename(tmp_path / "real")
            {"a link": lambda: file.symlink_to(tmp_path / "real"), "a pipe": lambda: os.mkfifo(file, 0o600)}.get(
                damage, file.mkdir
            )()
    found = {generations.current("store", "work") for _ in range(3)}
    assert len(found | before) == 5


def test_a_folder_in_the_hands_of_others_is_an_error(tmp_path: Path, generations: Generations) -> None:
    generations.advance("store", "work")
    (tmp_path / "generations").chmod(0o777)
    with pytest.raises(Untrusted):
        generations.advance("store", "work")


def test_a_generation_is_on_the_disk_when_it_is_current(
    tmp_path: Path, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    generations.advance("store", "work")
    assert len(synced) == 2


# -- many --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 5)


def age(paths: list[Path], days: float = 2) -> None:
    for path in paths:
        os.utime(path, (time.time() - days * DAYS,) * 2)


@pytest.mark.usefixtures("few")
def test_many_old_generations_become_one_and_none_comes_back(tmp_path: Path, generations: Generations) -> None:
    names = [f"profile-{number}" for number in range(8)]
    seen: dict[str, set[str]] = {name: {generations.current("store", name)} for name in names}
    for name in names:
        generations.advance("store", name)
        seen[name].add(generations.current("store", name))
    age(files(tmp_path))
    another_process(tmp_path).advance("store", "another")
    assert len(files(tmp_path)) == 2
    for name in names:
        assert generations.current("store", name) not in seen[name]


@pytest.mark.usefixtures("few")
def test_young_generations_stay(tmp_path: Path, generations: Generations) -> None:
    for number in range(8):
        generations.advance("store", f"profile-{number}")
    age(files(tmp_path)[:5])
    young = {path.name for path in files(tmp_path)[5:]}
    another_process(tmp_path).advance_profile("another")
    assert young <= {path.name for path in files(tmp_path)}
    assert len(files(tmp_path)) == 3 + 2


@pytest.mark.usefixtures("few")
def test_few_old_generations_stay(tmp_path: Path, generations: Generations) -> None:
    for number in range(4):
        generations.advance("store", f"profile-{number}")
    age(files(tmp_path), days=400)
    before = generations.current("store", "profile-0")
    another_process(tmp_path).advance("store", "another")
    assert generations.current("store", "profile-0") == before


@pytest.mark.usefixtures("few")
def test_who_reads_while_many_become_one_has_the_new_one_of_everything(
    tmp_path: Path, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that finds its key's generation gone must not go back to that of before the first change."""
    names = [f"profile-{number}" for number in range(8)]
    first = {name: generations.current("store", name) for name in names}
    for name in names:
        generations.advance("store", name)
    changed = {name: generations.current("store", name) for name in names}
    age(files(tmp_path))
    unlink, read = Path.unlink, []

    def observed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        read.extend((name, generations.current("store", name)) for name in names)

    monkeypatch.setattr(Path, "unlink", observed)
    another_process(tmp_path).advance("store", "another")
    assert len(read) >= 8 * 8
    assert not [name for name, found in read if found in (first[name], changed[name]) and ":" not in found]
    assert {found for name, found in read if found == first[name]} == set()


@pytest.mark.usefixtures("few")
def test_what_another_process_draws_while_many_become_one_stays(
    tmp_path: Path, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        generations.advance("store", f"profile-{number}")
    age(files(tmp_path))
    drawn: list[str] = []
    later = another_process(tmp_path)
    real = later.advance_all

    def advance_all() -> None:
        real()
        Generations(tmp_path / "generations").advance("store", "profile-3")
        drawn.append(generations.current("store", "profile-3"))

    monkeypatch.setattr(later, "advance_all", advance_all)
    later.advance("store", "another")
    assert [generations.current("store", "profile-3")] == drawn


def test_what_a_killed_process_left_goes(tmp_path: Path, generations: Generations) -> None:
    generations.advance("store", "work")
    (tmp_path / "generations/.abc.1.aa.tmp").touch()
    age([tmp_path / "generations/.abc.1.aa.tmp"])
    another_process(tmp_path).advance("store", "work")
    assert len(files(tmp_path)) == 1
