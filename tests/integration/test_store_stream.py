"""The benchmark of the many-symbol stream runs, in small, and its reader stays in order."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def test_the_small_stream_is_whole_ordered_and_under_the_limit() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.store_stream", "--small"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert '"bars": 21600' in done.stdout and "under 300 MB" in done.stdout
