"""Nothing grows faster than the work: how often something is done for few and for many, never how long it takes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.flying import flights, nothing, one
from vault_core import files
from vault_core.api import Credentials, Secret
from vault_core.awsconfig.editor import Document
from vault_core.awsconfig.redacted_diff import patch
from vault_core.errors import SessionError
from vault_core.sessions import singleflight
from vault_core.sessions.cache import Cache, Session
from vault_core.sessions.generations import Generations
from vault_core.sessions.key_changes import KeyChanges
from vault_core.sessions.listing import listed
from vault_core.sessions.ready import matching
from vault_core.sessions.singleflight import Flight
from vault_core.settings import Settings
from vault_testkit.clock import FakeClock

FEW, MANY = 40, 160
LINEAR = 1.2 * MANY / FEW
"""How many times the work for :data:`FEW` the work for :data:`MANY` may be."""


def grown(work: Callable[[int], int]) -> float:
    """How many times the work for few the work for many is."""
    few, many = work(FEW), work(MANY)
    assert few > 0, "something is counted"
    return many / few


# -- names -------------------------------------------------------------------------------------------------------------

compared: Counter[str] = Counter()


class Name(str):
    """The name of a profile, which counts how often it is compared with another."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        compared["names"] += 1
        return str.__eq__(self, other)


def names(number: int) -> list[str]:
    return [Name(f"profile-{i}") for i in range(number)]


def comparisons(work: Callable[[int], object]) -> Callable[[int], int]:
    def count(number: int) -> int:
        compared.clear()
        work(number)
        return compared["names"]

    return count


def test_a_list_in_a_search_would_be_seen() -> None:
    assert grown(comparisons(lambda number: [name in names(number) for name in names(number)])) > LINEAR


def test_listing_compares_each_name_with_few_others() -> None:
    def work(number: int) -> None:
        stored = dict.fromkeys(names(number), False)
        sessions = [session(name) for name in names(number)]
        assert len(listed(names(number), stored, sessions)) == number

    assert grown(comparisons(work)) <= LINEAR


def test_a_name_among_the_words_of_ready_is_compared_with_few_profiles() -> None:
    assert grown(comparisons(lambda number: matching(names(number), names(number), list))) <= LINEAR


def test_ready_looks_once_for_names_outside_of_the_config() -> None:
    asked: list[int] = []

    def others() -> list[str]:
        asked.append(1)
        return ["[a]", "[b]", "[c]"]

    assert matching(["[a]", "[b]", "[c]"], ["work"], others) == ["[a]", "[b]", "[c]"]
    assert asked == [1]


# -- the session cache -------------------------------------------------------------------------------------------------


def session(profile: str) -> Session:
    now = datetime.now(UTC)
    credentials = Credentials(
        access_key_id="ASIA",
        secret_access_key=Secret("s"),
        session_token=Secret("t"),
        expires=now + timedelta(hours=1),
    )
    return Session(credentials, now, "sts.AssumeRole", ("user", profile))


def cache(root: Path) -> Cache:
    """As a process has it."""
    (root / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    return Cache(Settings({"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run")}))


def filled(root: Path, number: int) -> Cache:
    """The cache of a new process, with so many live sessions of others."""
    earlier = cache(root)
    for i in range(number):
        earlier.put(f"earlier-{i}", session(f"earlier-{i}"))
    return cache(root)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many files were read, by the ends of their names."""
    count: Counter[str] = Counter()
    real = files.read_private

    def read_private(path: Path, *, limit: int) -> bytes:
        count[path.suffix] += 1
        return real(path, limit=limit)

    monkeypatch.setattr(files, "read_private", read_private)
    return count


def test_a_new_session_opens_none_of_the_others(tmp_path: Path, reads: Counter[str]) -> None:
    ours = filled(tmp_path, MANY)
    reads.clear()
    for i in range(FEW):
        ours.put(f"new-{i}", session(f"new-{i}"))
    assert reads[".session"] == 0
    assert len(list(ours.sessions())) == MANY + FEW
    assert reads[".session"] == MANY + FEW, "so it could have been seen"


def test_the_sessions_of_others_are_looked_at_once_however_many_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = filled(tmp_path, MANY)
    looked: Counter[str] = Counter()
    real = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        looked[path.name] += path.suffix == ".session"
        return real(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    for i in range(FEW):
        ours.put(f"new-{i}", session(f"new-{i}"))
    assert looked.total() == MANY + 1


def test_many_changed_keys_open_each_session_once(tmp_path: Path, reads: Counter[str]) -> None:
    ours = filled(tmp_path, MANY)
    reads.clear()
    vault: Any = SimpleNamespace(store=SimpleNamespace(identity="store"))
    with KeyChanges(ours, Generations(tmp_path / "generations"), tmp_path).changing_keys() as changing:
        for i in range(FEW):
            with changing(vault, f"earlier-{i}"):
                pass
    assert reads[".session"] == MANY
    assert len(list(ours.sessions())) == MANY - FEW


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each folder is listed, by its name: by one function or the other, as the version of Python has it."""
    counted: Counter[str] = Counter()

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def listing(path: Any = ".") -> Any:
            counted[Path(path).name] += 1
            return real(path)

        return listing

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return counted


def test_many_generations_are_looked_through_once(tmp_path: Path, listings: Counter[str]) -> None:
    generations = Generations(tmp_path / "generations")
    for i in range(FEW):
        generations.advance("store", f"key-{i}")
    assert 1 <= listings["generations"] <= 2


def test_the_flights_of_others_are_looked_at_once(tmp_path: Path, listings: Counter[str]) -> None:
    ours = flights(tmp_path / "flights")
    for i in range(FEW):
        assert ours.run(f"step-{i}", nothing, lambda _: "made") == "made"
    assert 1 <= listings["flights"] <= 2


def test_a_process_that_waits_for_a_leader_looks_for_its_session_once_a_second(
    tmp_path: Path, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty of them would keep the processor from the leader."""
    monkeypatch.setattr(singleflight, "time", fake_clock)
    monkeypatch.setattr(Flight, "wait", lambda _: fake_clock.sleep(singleflight._AGAIN))
    lookups: list[float] = []
    one(tmp_path).phase("network")
    with files.held(one(tmp_path).lock, timeout=0), pytest.raises(SessionError, match="made no progress"):
        flights(tmp_path).run("step", lambda: lookups.append(fake_clock.monotonic()), lambda _: None)
    assert 1 < len(lookups) <= singleflight.NETWORK_LIMIT + 10


# -- the AWS config ----------------------------------------------------------------------------------------------------


def config(number: int) -> bytes:
    """Roles, of which each has what all have."""
    return "".join(
        f"[profile p{i}]\nrole_arn = arn:aws:iam::123456789012:role/p{i}\nsource_profile = user\n\n"
        for i in range(number)
    ).encode()


def wired(number: int) -> bytes:
    document = Document(config(number), Path("config"))
    for header in document.blocks:
        document.rename(header, "source_profile", "vault_source_profile")
        document.add(header, "credential_process", "awsv exec -j x")
    return document.edited()


def test_a_change_of_every_profile_is_shown_by_comparing_each_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: Counter[str] = Counter()
    real = SequenceMatcher.find_longest_match

    def find(self: Any, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Any:
        looked["lines"] += (len(self.a) if ahi is None else ahi) - alo
        return real(self, alo, ahi, blo, bhi)

    monkeypatch.setattr(SequenceMatcher, "find_longest_match", find)

    def work(number: int) -> int:
        looked.clear()
        assert patch(config(number), wired(number), Path("config")).count("+credential_process") == number
        return looked["lines"]

    assert grown(work) <= LINEAR


class Sections(list[Any]):
    """The sections of a file, which count how often something goes through all of them."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        type(self).times += 1
        return super().__iter__()


@pytest.mark.parametrize("edit", ["append and remove", "add to an empty section", "remove bare"])
def test_an_edit_of_each_section_does_not_go_through_all_of_them(edit: str) -> None:
    empty = "".join(f"[profile p{i}]\n" for i in range(FEW)).encode()
    document = Document(empty, Path("config"))
    if edit == "append and remove":
        for i in range(FEW):
            document.append_section(f"profile new{i}", {"region": "x"}, "ours")
        document = Document(document.edited(), Path("config"))
    document.every_block = Sections(document.every_block)
    document._intended = Sections(document._intended)
    Sections.times = 0
    for i in range(FEW):
        match edit:
            case "append and remove":
                document.remove_appended(f"profile new{i}")
            case "add to an empty section":
                document.add(f"profile p{i}", "region", "x")
            case _:
                assert document.remove_bare(f"profile p{i}")
    assert Sections.times == 0
    document.edited()
    assert Sections.times > 0, "so it could have been seen"
