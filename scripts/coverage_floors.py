"""What each distribution's branch coverage is, against its floor in ``[tool.awsv.coverage]`` of pyproject.toml."""

from __future__ import annotations

import io
import sys
import tomllib
import warnings
from pathlib import Path

import coverage
from coverage.exceptions import NoDataError

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Combine what the processes have measured, and print a line for each distribution; 1 if one is below its floor.

    Where a file of measurements is damaged, nothing is concluded from what is missing.
    """
    floors: dict[str, int] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["awsv"]["coverage"]
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    with warnings.catch_warnings(record=True) as damaged:
        warnings.simplefilter("always")
        measured.combine([str(ROOT / ".cache/coverage")])
    measured.save()
    below = []
    for distribution, floor in floors.items():
        try:
            percent = measured.report(include=[f"{ROOT / distribution}/src/*"], file=io.StringIO())
        except NoDataError:
            percent = 0.0
        print(f"{percent:5.1f} %  floor {floor}  {distribution}")  # noqa: T201 - what the script is for
        below += [distribution] if percent < floor else []
    if below:
        print(f"below its floor: {', '.join(below)}; what is missing: coverage report -m --include='{below[0]}/*'")  # noqa: T201 - what the script is for
    for warning in damaged:
        print(f"not counted, so that no floor is enforced: {warning.message}")  # noqa: T201 - what the script is for
    return bool(below and not damaged)


if __name__ == "__main__":
    sys.exit(main())
