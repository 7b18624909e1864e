"""How much memory does a sweep take at its peak? Less than the data and 200 MB, whatever the process has mapped counted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from njord.apps.synthetic import write_synthetic_csv

pytestmark = pytest.mark.integration
MONTH, YEAR = 43_200, 525_600  # Bars of a minute.
BYTES_PER_BAR = 6 * 8
# The process says itself what it had at its peak, libraries' pages included; what a parent reads after its end would
# count the parent's own pages too.
CHILD = """
import atexit
import sys
from pathlib import Path

from njord.cli import main

atexit.register(lambda: print(Path("/proc/self/status").read_text(), file=sys.stderr))
main()
"""


def peak_bytes(*words: str, cwd: Path) -> int:
    # The table library has told its allocator, by way of the environment, what is best for this process here.
    environ = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    child = [sys.executable, "-c", CHILD, "sweep", *words]
    done = subprocess.run(child, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^VmHWM:\s+(\d+) kB$", done.stderr, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    ("n_bars", "fast", "room_bytes"),
    [
        pytest.param(MONTH, "5:105:2", 190_000_000, id="a month, 5,000 combinations"),
        pytest.param(YEAR, "5:9:2", 200_000_000, id="a year, 200 combinations", marks=pytest.mark.long),
    ],
)
def test_a_sweep_takes_its_data_and_200_mb_at_the_most(
    n_bars: int, fast: str, room_bytes: int, tmp_path: Path
) -> None:
    bars = tmp_path / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(bars, n_bars, 42)
    asked = ["sma_cross", "--data", str(bars), "--workers", "2"]
    few = ["--param", "fast=5,6", "--param", "slow=110,120"]
    peak_bytes(*asked, *few, cwd=tmp_path)  # Compiles where nothing is compiled yet, which takes more.
    many = ["--param", f"fast={fast}", "--param", "slow=110:1110:10"]
    assert peak_bytes(*asked, *many, cwd=tmp_path) <= n_bars * BYTES_PER_BAR + room_bytes
