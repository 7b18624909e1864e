"""The tools that measure run: a short profile of the real engine, the checks, and the benchmarks in small."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.profile_cpu import TOOLS, available

pytestmark = [pytest.mark.integration, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    "scripts.profile_cpu",
    "scripts.profile_memory",
    "scripts.analyze_profiles",
    "scripts.check_memory_leaks",
    "scripts.check_flakiness",
    "scripts.find_dead_code",
    "scripts.find_duplicates",
    "benchmarks.peers",
    "benchmarks.year_of_twenty",
]


def _run(folder: Path, module: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", SCRIPTS)
def test_its_help_has_an_example_and_the_exit_codes(module: str) -> None:
    done = _run(ROOT, module, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m {module}" in done.stdout.split("options:")[0]
    assert "Exit codes:" in done.stdout


@pytest.mark.parametrize("module", SCRIPTS)
def test_wrong_words_end_with_2_and_no_traceback(module: str) -> None:
    done = _run(ROOT, module, "--no-such-word")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if module.startswith("scripts."):
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("tool", TOOLS)
def test_a_profile_of_the_engine_finds_the_engine_and_names_no_machine(tmp_path: Path, tool: str) -> None:
    if not available(tool):
        pytest.skip(f"{tool} is not installed")
    done = _run(ROOT, "scripts.profile_cpu", "--tool", tool, "--bars", "20000", "--name", f"test-{tool}")
    path = ROOT / "var" / "profiling" / f"test-{tool}-cpu.folded"
    if tool == "py-spy" and done.returncode:
        pytest.skip(f"py-spy may not look into processes here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    path.unlink()
    assert re.search(r"njord/core/engine\.py:(Engine\.)?step\b", text)
    assert str(ROOT) not in text and str(Path.home()) not in text
    assert ("warning" in done.stderr) is (tool == "cprofile")


@pytest.mark.parametrize("tool", ["memray", "tracemalloc"])
def test_a_memory_profile_says_who_holds_what(tool: str) -> None:
    done = _run(ROOT, "scripts.profile_memory", "--tool", tool, "--bars", "2000", "--name", f"test-{tool}")
    path = ROOT / "var" / "profiling" / f"test-{tool}-memory.folded"
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    path.unlink()
    assert "njord/" in text
    assert str(ROOT) not in text and str(Path.home()) not in text
    assert ("warning" in done.stderr) is (tool == "tracemalloc")


def test_a_command_that_fails_is_no_profile() -> None:
    done = _run(
        ROOT, "scripts.profile_cpu", "--tool", "cprofile", "--name", "test-fails", "--", "backtest", "no_such"
    )
    assert done.returncode == 1
    assert "cprofile got no profile" in done.stderr
    assert not (ROOT / "var" / "profiling" / "test-fails-cpu.folded").exists()


def test_the_engine_holds_on_to_nothing_from_run_to_run() -> None:
    done = _run(ROOT, "scripts.check_memory_leaks", "--duration", "5", "--limit-mb", "20", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["rounds"] >= 8


def test_flakiness_is_told_of_a_real_run(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text("def test_fine(): pass\ndef test_wrong(): assert False\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = _run(tmp_path, "scripts.check_flakiness", "--runs", "2", "--workers", "1", "--", "test_two.py")
    assert done.returncode == 1
    assert "test_wrong: failed in 2 of 2 runs, always" in done.stdout
    assert done.stdout.endswith("2 runs, 0 clean\n")


def test_peers_in_small_names_who_is_missing_and_how_to_make_them() -> None:
    done = _run(ROOT, "benchmarks.peers", "--small", "--runs", "1", "--json", "W1")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout.splitlines()[-1])
    assert record["W1"]["contenders"]["njord ordered"]["came_to"]["orders"] > 100
    assert {"vectorbt numba", "nautilus", "backtesting.py"} <= set(record["W1"]["missing"])
    assert "scripts/make_peers.sh ../peers nautilus" in done.stdout


def test_some_symbols_go_through_the_engine_under_the_limit() -> None:
    done = _run(ROOT, "benchmarks.year_of_twenty", "--small")
    assert done.returncode == 0, done.stderr
    assert "21,600 bars of 3 symbols" in done.stdout and "under 500 MB" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "scripts/make_peers.sh DIR"),
        ([], 2, "the folder for the environments is missing"),
        (["somewhere", "no-such-peer"], 2, "no peer is called no-such-peer, they are: nautilus vectorbt"),
    ],
)
def test_making_peers_says_what_it_needs(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    script = ROOT / "scripts" / "make_peers.sh"
    done = subprocess.run([str(script), *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
