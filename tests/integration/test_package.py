"""The wheel holds what a user needs, and a run that is interrupted leaves nothing half-done."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from njord.apps.synthetic import write_synthetic_csv
from tests.integration.in_passing import without_progress

pytestmark = pytest.mark.integration
PROJECT = Path(__file__).resolve().parents[2]
NJORD = Path(sys.executable).with_name("njord")


def test_the_wheel_holds_the_package_its_types_and_its_pages(tmp_path: Path) -> None:
    build = [str(Path(sys.executable).with_name("hatchling")), "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("njord_quant-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "njord/py.typed" in names
    assert any(name.startswith("njord/backtest/assets/") and name.endswith(".html") for name in names)
    sources = (path for path in (PROJECT / "njord").rglob("*.py") if "__pycache__" not in path.parts)
    in_tree = {path.relative_to(PROJECT).as_posix() for path in sources}
    assert in_tree <= set(names)
    assert not any(name.startswith(("tests/", "docs/")) for name in names)


def test_ctrl_c_ends_a_backtest_with_130_and_leaves_no_half_run(tmp_path: Path) -> None:
    data = tmp_path / "BTCUSDT.csv"
    write_synthetic_csv(data, 200_000, 1)
    process = subprocess.Popen(
        [str(NJORD), "backtest", "sma_cross", "--data", str(data), "--root", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    reports = tmp_path / "var" / "reports"
    deadline = time.monotonic() + 200
    while not any(reports.glob("*/journal/*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "njord: interrupted; nothing half-done was kept"
    assert not list(reports.iterdir())


def test_a_reader_that_goes_away_is_not_an_error(tmp_path: Path) -> None:
    data = tmp_path / "BTCUSDT.csv"
    write_synthetic_csv(data, 5_000, 1)
    command = f"'{NJORD}' backtest sma_cross --data '{data}' --root '{tmp_path}' --json - | head -c 10"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert without_progress(done.stderr) == ""
