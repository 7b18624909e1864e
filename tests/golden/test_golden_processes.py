"""The same stories in every process, whatever the hash seed and the number of threads."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.catalog import STORIES

ROOT = Path(__file__).resolve().parents[2]
PRINT = "from tests.golden.test_golden_processes import digest; print(digest())"


def digest() -> str:
    """Return one hash of all stories."""
    told = "\n".join(line for name in sorted(STORIES) for line in (name, *STORIES[name]()))
    return hashlib.sha256(told.encode()).hexdigest()


@pytest.mark.integration
@pytest.mark.parametrize(("hash_seed", "threads"), [("0", "1"), ("4242", "2")])
def test_every_process_tells_the_same_stories(hash_seed: str, threads: str) -> None:
    chosen = {"PYTHONHASHSEED": hash_seed, "NUMBA_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=ROOT,
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest()
