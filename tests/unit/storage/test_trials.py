"""The trial ledger: what is a new trial, what a crash may do to it, and what it refuses in one line."""

import fcntl
import json
import math
import os
import resource
import signal
import statistics
from pathlib import Path

import pytest

from njord.core.errors import DataError
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.storage.trials import TRIALS_NAME, Trial, TrialKind, TrialLedger, TrialRecord, trial_identity


def record(
    *points: tuple[int, float],
    idea: str = "cross",
    ts_ns: int = 1,
    kind: TrialKind = "backtest",
    interval_ns: int = NS_PER_MINUTE,
    synthetic: bool = False,
) -> TrialRecord:
    return TrialRecord(
        kind=kind, idea=idea, ts_ns=ts_ns, symbols=("BTC/USDT",), interval_ns=interval_ns,
        points=[Trial(*point) for point in points], synthetic=synthetic,
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "state" / TRIALS_NAME)


def test_an_idea_that_nobody_tried_has_no_trial_and_no_file_is_made_for_asking(ledger: TrialLedger) -> None:
    count = ledger.count("cross", NS_PER_MINUTE)
    assert (count.n, count.n_compared, count.first_ns) == (0, 0, None)
    assert math.isnan(count.mean_sharpe) and math.isnan(count.variance_sharpe)
    assert not ledger.path.parent.exists()


def test_trials_are_counted_with_the_mean_and_the_variance_of_their_sharpes(ledger: TrialLedger) -> None:
    sharpes = [0.1, -0.2, 0.35]
    for index, sharpe in enumerate(sharpes):
        assert ledger.add(record((index, sharpe), ts_ns=10 + index)) == 1
    count = ledger.count("cross", NS_PER_MINUTE)
    assert (count.n, count.n_compared, count.first_ns, count.last_ns) == (3, 3, 10, 12)
    assert count.mean_sharpe == pytest.approx(statistics.mean(sharpes))
    assert count.variance_sharpe == pytest.approx(statistics.variance(sharpes))


def test_the_same_again_is_no_new_trial_and_writes_nothing(ledger: TrialLedger) -> None:
    ledger.add(record((7, 0.1)))
    before = ledger.path.read_bytes()
    assert ledger.add(record((7, 0.1), ts_ns=99, kind="sweep")) == 0
    assert ledger.path.read_bytes() == before
    assert ledger.count("cross", NS_PER_MINUTE).n == 1


def test_a_sweep_is_one_line_of_many_points_and_only_its_new_ones_count(ledger: TrialLedger) -> None:
    ledger.add(record((3, 0.5)))
    assert ledger.add(record(*[(index, index / 10) for index in range(1000)], kind="sweep")) == 999
    assert len(ledger.path.read_bytes().splitlines()) == 2
    assert ledger.path.stat().st_size < 30_000
    assert ledger.count("cross", NS_PER_MINUTE).n == 1000


def test_a_trial_keeps_the_number_under_which_it_came_first(ledger: TrialLedger) -> None:
    ledger.add(record((30, 0.1)))
    ledger.add(record((20, 0.1), (10, 0.2), (30, 0.3), kind="sweep"))
    numbers = [ledger.state("cross", NS_PER_MINUTE, identity=each).number for each in (30, 20, 10, 40)]
    assert numbers == [1, 2, 3, None]


def test_ideas_and_generated_markets_are_counted_apart(ledger: TrialLedger) -> None:
    ledger.add(record((1, 0.1)))
    ledger.add(record((1, 0.1), idea="other"))
    ledger.add(record((1, 0.1), synthetic=True))
    assert [ledger.count(idea, NS_PER_MINUTE).n for idea in ("cross", "other")] == [1, 1]
    assert ledger.count("cross", NS_PER_MINUTE, synthetic=True).n == 1


def test_every_interval_counts_as_a_trial_and_only_the_same_one_is_compared(ledger: TrialLedger) -> None:
    ledger.add(record((1, 0.1), (2, 0.3), kind="sweep"))
    ledger.add(record((3, 5.0), interval_ns=NS_PER_DAY))
    ledger.add(record((4, math.nan)))
    minutes, days = (ledger.count("cross", interval) for interval in (NS_PER_MINUTE, NS_PER_DAY))
    assert (minutes.n, minutes.n_compared) == (4, 2)
    assert minutes.mean_sharpe == pytest.approx(0.2)
    assert (days.n, days.n_compared, days.mean_sharpe) == (4, 1, 5.0)
    assert math.isnan(days.variance_sharpe)


def test_an_identity_is_made_of_each_of_its_parts_and_their_borders() -> None:
    parts = [("c", ["d", "e"], "p", "t"), ("x", ["d", "e"], "p", "t"), ("c", ["d"], "p", "t"),
             ("c", ["de"], "p", "t"), ("c", ["d", "e"], "q", "t"), ("c", ["d", "e"], "p", "u"),
             ("c", ["d", "e", "p"], "", "t")]  # fmt: skip
    assert len({trial_identity(*each) for each in parts}) == len(parts)
    assert trial_identity("c", ["d", "e"], "p", "t") == 12065662489195636354


@pytest.mark.parametrize("cut", [1, 40, 150])
def test_a_line_that_a_crash_cut_short_is_told_and_hides_nothing_after_it(
    ledger: TrialLedger, cut: int
) -> None:
    ledger.add(record((1, 0.1)))
    first = ledger.path.stat().st_size
    ledger.add(record((2, 0.2)))
    with ledger.path.open("r+b") as file:
        file.truncate(first + cut)
    state = ledger.state("cross", NS_PER_MINUTE)
    assert state.count.n == 1
    assert [(fault.line, fault.says) for fault in state.faults] == [(2, "was cut short by a crash")]
    assert ledger.add(record((3, 0.3))) == 1
    state = ledger.state("cross", NS_PER_MINUTE, identity=3)
    assert (state.count.n, state.number) == (2, 2)
    assert [fault.line for fault in state.faults] == [2]


def test_a_line_without_its_end_mark_still_counts(ledger: TrialLedger) -> None:
    ledger.add(record((1, 0.1)))
    ledger.path.write_bytes(ledger.path.read_bytes().rstrip(b"\n"))
    assert ledger.count("cross", NS_PER_MINUTE).n == 1
    ledger.add(record((2, 0.1)))
    state = ledger.state("cross", NS_PER_MINUTE)
    assert (state.count.n, state.faults) == (2, ())


@pytest.mark.parametrize(
    "line",
    [b"\xff\xfe", b"{}", b"[1]", b'{"schema":1}', b"null", b'{"schema":"1"}', "points", "count"],
)  # fmt: skip
def test_a_damaged_line_in_the_middle_is_told_and_passed_over(ledger: TrialLedger, line: bytes | str) -> None:
    ledger.add(record((1, 0.1)))
    ledger.add(record((2, 0.2)))
    first, second = ledger.path.read_bytes().splitlines()
    if isinstance(line, str):
        fields = (
            json.loads(second) | {"points": "A-=="}
            if line == "points"
            else json.loads(second) | {"n_points": 2}
        )
        line = json.dumps(fields).encode()
    ledger.path.write_bytes(b"\n".join([first, line, second, b""]))
    state = ledger.state("cross", NS_PER_MINUTE)
    assert state.count.n == 2
    assert [(fault.line, fault.says) for fault in state.faults] == [(2, "is no whole record")]


def test_a_newer_ledger_is_refused_in_one_line_and_left_as_it_is(ledger: TrialLedger) -> None:
    ledger.add(record((1, 0.1)))
    newer = ledger.path.read_bytes() + b'{"schema":2,"anything":[]}\n'
    ledger.path.write_bytes(newer)
    for ask in (lambda: ledger.count("cross", NS_PER_MINUTE), lambda: ledger.add(record((2, 0.1)))):
        with pytest.raises(
            DataError, match=r"newer njord .records of version 2, this one knows 1.; update"
        ) as error:
            ask()
        assert "\n" not in str(error.value)
    assert ledger.path.read_bytes() == newer


def test_a_ledger_that_is_a_folder_or_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        ledger = TrialLedger(tmp_path / name)
        with pytest.raises(DataError, match=name):
            ledger.count("cross", NS_PER_MINUTE)
        with pytest.raises(DataError, match=name):
            ledger.add(record((1, 0.1)))


def test_a_state_folder_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(DataError, match=r"can not be written: .*; check who may write there"):
        TrialLedger(tmp_path / "state" / TRIALS_NAME).add(record((1, 0.1)))


def test_a_lock_that_is_never_let_go_ends_in_one_line(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / TRIALS_NAME, lock_wait_s=0.0)
    ledger.add(record((1, 0.1)))
    with ledger.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert ledger.count("cross", NS_PER_MINUTE).n == 1  # Who reads does not keep others from reading.
        with pytest.raises(DataError, match=r"is locked by another process; see who holds it: fuser"):
            ledger.add(record((2, 0.1)))


def test_a_disk_that_takes_no_more_leaves_the_ledger_as_it_was(ledger: TrialLedger) -> None:
    ledger.add(record((1, 0.1)))
    before = ledger.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
    try:
        with pytest.raises(DataError, match="File too large"):
            ledger.add(record(*[(index, 0.1) for index in range(50)]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert ledger.path.read_bytes() == before
    assert ledger.add(record((2, 0.1))) == 1


def test_a_record_of_nothing_is_a_mistake(ledger: TrialLedger) -> None:
    with pytest.raises(ValueError, match="needs a point"):
        ledger.add(record())
