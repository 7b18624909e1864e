"""A market maker on a recorded order book: every fill, the position, the balance and the fees are those of hftbacktest."""

import shlex
from pathlib import Path

import pytest

from benchmarks.differential import ticks
from benchmarks.differential.ticks import Fill, Outcome, differences
from tests.integration.peer_environment import peer_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# As the page shows it; a test below runs it.
COMMAND = "python -m benchmarks.differential.ticks ETHUSDT-binance-spot.jsonl.gz"


@pytest.fixture(scope="module")
def python() -> Path:
    return peer_python("hftbacktest")


def recorded(recordings: Path) -> str:
    (path,) = (recordings / "capture").glob("ETHUSDT-binance-spot*")
    return str(path)


# Flags, and the least number of fills that make agreement mean something.
@pytest.mark.long
@pytest.mark.parametrize(
    ("flags", "n_fills_min"),
    [
        ("", 400),
        ("--queue risk_averse --latency-ms 50 --interval-ms 50 --position-max 0.1 --fee-bps 2.5", 100),
    ],
)
def test_every_fill_is_that_of_hftbacktest(
    flags: str, n_fills_min: int, recordings: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(COMMAND)
    assert words[:3] == ["python", "-m", "benchmarks.differential.ticks"]
    code = ticks.main([recorded(recordings), *shlex.split(flags), "--python", str(python)])
    said = capsys.readouterr().out
    with capsys.disabled():
        print(f"\n{flags}\n{said}")
    assert code == 0
    assert "  0 differences" in said.splitlines()
    (ours,) = (line for line in said.splitlines() if line.strip().startswith("ours"))
    assert int(ours.split()[1].replace(",", "")) >= n_fills_min


def test_a_missing_environment_is_one_line_that_says_how_to_make_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEERS_ROOT", str(tmp_path))
    assert ticks.main(["any.jsonl"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"python3 -m venv {tmp_path}/venv-hftbacktest" in said


FILLS = [Fill(1_000, 1, 100, 5), Fill(2_000, -1, 101, 5)]
OUTCOME = Outcome(FILLS, 0.0, 5.0, 1.0)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (OUTCOME, ""),
        (OUTCOME._replace(fills=[FILLS[0]]), "fill 2"),
        (OUTCOME._replace(fills=[FILLS[0]._replace(ts_ns=999), FILLS[1]]), "fill 1"),
        (OUTCOME._replace(fills=[FILLS[0], FILLS[1]._replace(price_ticks=102)]), "fill 2"),
        (OUTCOME._replace(position=0.00001), "position"),
        (OUTCOME._replace(balance=5.0001), "balance"),
        (OUTCOME._replace(fee=1.00001), "fee"),
        (OUTCOME._replace(fee=1.00000001), ""),
    ],
)
def test_a_difference_in_anything_is_named(other: Outcome, named: str) -> None:
    found = differences(OUTCOME, other)
    assert [line.partition(":")[0] for line in found] == ([named] if named else [])
