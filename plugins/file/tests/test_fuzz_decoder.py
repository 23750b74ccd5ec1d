"""S20: any bytes for the decoder (``fuzz/decoder.py``): a corpus, mutations of it, and atheris if it is installed."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.parts import need
from support.security import DEEP, sample

FUZZ = Path(__file__).with_name("fuzz")
SEEDS = sorted((FUZZ / "corpus").iterdir())


@pytest.fixture(scope="module")
def decoder() -> Any:
    spec = importlib.util.spec_from_file_location("awsv_fuzz_decoder", FUZZ / "decoder.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_s20_corpus_decodes_without_fault(decoder: Any, seed: Any) -> None:
    """Seeds are accepted; inputs that once triggered a fault (``refused-…``) are refused."""
    assert decoder.target(seed.read_bytes()) is not seed.name.startswith("refused-")


def test_s20_mutations_decode_without_fault(decoder: Any, figure: Any) -> None:
    rng = random.Random(os.urandom(8)) if DEEP else random.Random(20)
    inputs = [seed.read_bytes() for seed in SEEDS]
    count, accepted = sample(4000, 400_000), 0
    for _ in range(count):
        data = decoder.mutated(rng.choice(inputs), rng)
        try:
            accepted += decoder.target(data)
        except Exception as error:
            raise AssertionError(f"keep this input as a file of {FUZZ.name}/corpus: {data!r}") from error
    assert 0.01 * count < accepted < 0.5 * count  # else the mutations reach nothing, or change nothing
    figure(f"{count} mutations of {len(inputs)} inputs, {accepted} of them of the format; 0 faults")


def test_s20_atheris_finds_no_fault(tmp_path: Path, figure: Any) -> None:
    """Coverage-guided; its corpus grows in a folder of the test."""
    need(
        "atheris",
        importlib.util.find_spec("atheris"),
        how="pip install atheris; it has wheels for Linux on x86-64 and Python 3.11 to 3.13 only",
    )
    runs = sample(3000, 2_000_000)
    options = (f"-runs={runs}", "-max_len=8192", "-seed=20", "-max_total_time=600", f"-artifact_prefix={tmp_path}/")
    (tmp_path / "grown").mkdir()
    done = subprocess.run(
        [sys.executable, str(FUZZ / "decoder.py"), str(tmp_path / "grown"), str(FUZZ / "corpus"), *options],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = re.search(r"#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
    assert found, done.stderr[-3000:]
    iterations, branches, features, corpus = map(int, found.groups())
    assert iterations >= (runs if not DEEP else 10_000)
    assert branches > 150
    figure(f"{iterations} iterations, {branches} branches and {features} features covered by {corpus} inputs; 0 faults")
