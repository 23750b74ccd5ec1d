"""Every promise about the store has a test that is found by its id."""

from __future__ import annotations

from pathlib import Path

from support.security import IDS, written_in

ROOT = Path(__file__).parents[2]


def test_every_id_has_a_test() -> None:
    shown: dict[str, list[str]] = {}
    for pattern in ("tests/**/test_*.py", "core/tests/**/test_*.py", "plugins/*/tests/test_*.py"):
        for path in set(ROOT.glob(pattern)) - {Path(__file__)}:
            for id_ in written_in(path):
                shown.setdefault(id_, []).append(path.name)
    assert {id_: files for id_, files in shown.items() if id_ not in IDS} == {}
    assert [id_ for id_ in IDS if id_ not in shown] == []


def test_ids_are_found_by_name_and_by_mark(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text('pytestmark = pytest.mark.security("S1", "S2")\ndef test_s3_x(): ...\ndef other_s4_x(): "S5"\n')
    assert written_in(path) == {"S1", "S2", "S3"}
