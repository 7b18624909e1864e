"""A plain run on bars does not wait for the compiler: it would double the time to the first result."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.backtest.market_samples import write_bars

pytestmark = pytest.mark.integration
PROGRAM = """
import sys
from njord.cli import run
assert run(["backtest", "sma_cross", "--data", "BTC_USDT-1m.csv", "--param", "fast=2", "--param", "slow=4"]) == 0
print("compiled" if "numba" in sys.modules else "interpreted")
"""


def test_a_plain_run_on_bars_imports_no_compiler(tmp_path: Path) -> None:
    write_bars(tmp_path, "BTC/USDT", [100 + i % 7 for i in range(300)])
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "interpreted"
