"""The fast lane: what is slept through changes nothing, and what should not have been slept through is found."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from njord.backtest import market_bars
from njord.backtest.bar_rows import BarRows
from njord.backtest.honesty import with_honesty
from njord.backtest.market import Market, MarketBlock
from njord.backtest.market_view import MarketView
from njord.backtest.poison import examine
from njord.backtest.replay import replay_run
from njord.backtest.session import run_backtest
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.wake_check import Overslept, check_wakes
from njord.core.codec import decode
from njord.core.contracts import Bar, StrategySuspended, TimerSet
from njord.core.errors import JournalError, StrategyError
from njord.storage.journal import JournalWriter
from tests.unit.backtest.lane_run import ROW, CountedRows, EveryRow, prepared_run, ran
from tests.unit.backtest.poison_run import HEADER

pytestmark = pytest.mark.integration

# Acts where the mean of closes crosses a longer one, and lets callbacks of every kind look around and say what they see.
SEEING = (
    HEADER
    + """
    class State(msgspec.Struct):
        n_seen: int = 0

    def warm_up(self):
        return 20

    def indicators(self):
        return {"fast": Sma(5), "slow": Sma(20), "last": Value(), "band": Band(7, -2.0, of="high")}

    def wakes(self, features):
        above = features["fast"] > features["slow"]
        rows = np.ones(above.size, dtype=bool)
        rows[1:] = above[1:] != above[:-1]
        return rows

    def saw(self, ctx):
        values = [(name, float(np.nan_to_num(ctx.feature(name)))) for name in ("fast", "slow", "last", "band")]
        past = ctx.history(20)
        values += [("n", float(ctx.n_bars)), ("past", float(sum(bar.close for bar in past))), ("len", float(len(past)))]
        return (*values, ("first", past[0].close), ("price", ctx.price), ("equity", float(ctx.equity)))

    def on_bar(self, ctx, bar):
        above = ctx.feature("fast") > ctx.feature("slow")
        if above is bool(getattr(self, "above", False)) or not ctx.is_warm:
            return None
        self.above = above
        timer = TimerSet(key="later", due_ns=ctx.ts_ns + 7 * 60_000_000_000 + 1)
        return [Target(weight=0.5 if above else 0.0, features=self.saw(ctx)), timer]

    def on_timer(self, ctx, timer):
        return Target(weight=0.3, reason="timer", features=self.saw(ctx))

    def on_fill(self, ctx, fill):
        if fill.side is Side.BUY:
            return [Target(weight=0.4, reason="fill", features=self.saw(ctx))]
        return None
"""
).replace("import numpy as np\n", "import msgspec\nimport numpy as np\n", 1)
DISHONEST = SEEING.replace("return rows", "rows[:] = False\n        rows[0] = True\n        return rows", 1)
PLAIN = HEADER + "    def on_bar(self, ctx, bar):\n        return None\n"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a block hold 37 bars, so that a short run has many."""
    monkeypatch.setattr(market_bars, "CHUNK_ROWS", 37)
    monkeypatch.setattr(market_bars, "_LEAST_ROWS", 37)


def both(run: Prepared) -> tuple[list[bytes], list[bytes], int]:
    counted = CountedRows()
    awake, every = ran(run, counted)[0], ran(run, EveryRow())[0]
    return awake, every, counted.n_skipped


@pytest.mark.usefixtures("small_blocks")
def test_a_run_that_sleeps_says_what_one_that_is_awake_says_across_blocks_days_timers_and_fills(
    tmp_path: Path,
) -> None:
    with prepared_run(tmp_path, (SEEING,)) as run:
        asleep, awake, n_skipped = both(run)
    assert asleep == awake
    said = b"".join(awake)
    assert b'"timer"' in said and b'"fill"' in said and not any(b"Suspended" in line for line in awake)
    assert n_skipped > 200 and awake.count(ROW) == 400


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("warm_up", [24, 100, 111, 112])
def test_the_first_warm_bar_wakes_whatever_the_strategy_says(tmp_path: Path, warm_up: int) -> None:
    text = SEEING.replace("return 20", f"return {warm_up}")
    with prepared_run(tmp_path, (text,), n_bars=150) as run:
        asleep, awake, _ = both(run)
    assert asleep == awake


@pytest.mark.usefixtures("small_blocks")
def test_the_curve_of_a_run_that_sleeps_is_the_same(tmp_path: Path) -> None:
    with (
        prepared_run(tmp_path, (SEEING,)) as run,
        open(tmp_path / "a", "w+b") as a,
        open(tmp_path / "b", "w+b") as b,
    ):
        one = simulate(run, run.market, CountedRows(), a)
        other = simulate(run, run.market, EveryRow(), b)
        curves = [
            [piece.tobytes() for piece in each] for each in (*one.equity.batches(), *other.equity.batches())
        ]
        assert len(curves) == 2 and curves[0] == curves[1]
        assert one.system.gate.exposure.day_start_equity == other.system.gate.exposure.day_start_equity
        assert one.system.gate.exposure.mark_ticks == other.system.gate.exposure.mark_ticks


@pytest.mark.usefixtures("small_blocks")
def test_a_run_that_is_stopped_in_the_middle_stops_where_it_did(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (SEEING,)) as run:
        until_ns = run.market.start_ns + 222 * 60_000_000_000
        lines = []
        for journal in (CountedRows(), EveryRow()):
            simulate(run, run.market, journal, until_ns=until_ns)
            lines.append(journal.lines)
    assert lines[0] == lines[1] and lines[0].count(ROW) == 222


@pytest.mark.usefixtures("small_blocks")
def test_what_a_timer_sends_meets_the_last_price_that_was_slept_through(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (SEEING,)) as run:
        lines, _ = ran(run, CountedRows())
        every = [decode(line) for line in lines if line != ROW]
        timers = [each.due_ns for each in every if isinstance(each, TimerSet)]
        bars = [bar for block in run.market.blocks() for bar in block.messages if isinstance(bar, Bar)]
        closes = {bar.ts_ns: bar.close for bar in bars}
        for due_ns in timers[:6]:
            venue = simulate(run, run.market, CountedRows(), until_ns=due_ns + 1).venue
            assert venue.marks == [closes[due_ns - 1]]


class Listed(MarketView):
    """A market some of whose blocks are plain lists of bars."""

    def __init__(self, market: Market, stride: int) -> None:
        super().__init__(market)
        self._stride = stride

    def blocks(self) -> Iterator[MarketBlock]:
        for number, block in enumerate(self._market.blocks()):
            yield block if number % self._stride else replace(block, messages=list(block.messages))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_bars_that_come_one_by_one_give_the_same_indicators_and_the_same_run(
    tmp_path: Path, stride: int
) -> None:
    with prepared_run(tmp_path, (SEEING,)) as run:
        expected = ran(run, EveryRow())[0]
        for journal in (EveryRow(), CountedRows()):
            simulate(run, Listed(run.market, stride), journal)
            assert journal.lines == expected
            assert (journal.n_skipped > 0) is (stride > 1 and type(journal) is CountedRows)


@pytest.mark.usefixtures("small_blocks")
def test_several_strategies_wake_together_and_one_that_does_not_say_keeps_all_awake(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (SEEING, SEEING.replace("Sma(5)", "Sma(3)"))) as run:
        asleep, awake, n_skipped = both(run)
        assert asleep == awake and n_skipped > 200
    with prepared_run(tmp_path, (SEEING, PLAIN)) as run:
        asleep, awake, n_skipped = both(run)
        assert asleep == awake and n_skipped == 0


@pytest.mark.usefixtures("small_blocks")
def test_what_precompute_gave_can_wake_too(tmp_path: Path) -> None:
    text = SEEING.replace(
        "    def wakes(",
        '    def precompute(self, bars):\n        return {"twice": bars.close_price * 2.0}\n\n    def wakes(',
    ).replace(
        "        rows = np.ones",
        '        assert (features["twice"] == features["last"] * 2).all()\n        rows = np.ones',
    )
    with prepared_run(tmp_path, (text,)) as run:
        asleep, awake, n_skipped = both(run)
    assert asleep == awake and n_skipped > 200


def test_a_suspended_strategy_sleeps_for_good(tmp_path: Path) -> None:
    text = SEEING.replace("self.above = above", "raise ValueError('enough')")
    with prepared_run(tmp_path, (text,)) as run:
        asleep, awake, _ = both(run)
    assert asleep == awake
    assert sum(StrategySuspended.__name__.encode() in line for line in awake) == 1


def test_wakes_that_are_not_true_are_found_by_calling_every_bar(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (DISHONEST,)) as run:
        folder = tmp_path / "run"
        journal = JournalWriter(folder / "journal")
        simulate(run, run.market, journal)
        journal.close()
        with pytest.raises(
            Overslept, match=r"wakes\(\) of s0 is not true: called on every bar, .* \(Target\)"
        ):
            check_wakes(run, run.market, folder, run.market.end_ns)
        with pytest.raises(Overslept):
            examine(run, run.market, folder, 5, 1)


def test_wakes_that_are_true_pass_the_check_and_so_does_a_strategy_without(tmp_path: Path) -> None:
    for text in (SEEING, PLAIN):
        with prepared_run(tmp_path, (text,)) as run:
            folder = tmp_path / f"run-{len(text)}"
            journal = JournalWriter(folder / "journal")
            simulate(run, run.market, journal)
            journal.close()
            check_wakes(run, run.market, folder, run.market.end_ns)
            assert examine(run, run.market, folder, 3, 1).passed


def test_a_run_that_slept_is_replayed_on_every_bar_and_found_identical(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (SEEING,)) as run:
        finished = run_backtest(run, tmp_path / "reports")
    assert replay_run(finished.folder).identical


def test_a_backtest_says_so_when_its_strategy_overslept(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (DISHONEST,)) as run:
        finished = with_honesty(run, run_backtest(run, tmp_path / "reports"))
    assert "wakes() of s0 is not true" in finished.result.error
    assert any("wakes() of s0" in finding.says for finding in finished.result.findings)
    written = msgspec.json.decode((finished.folder / "summary.json").read_bytes())
    assert written["error"] == finished.result.error


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("1 / 0", r"case_0.py:\d+: ZeroDivisionError"),
        ("[True]", r"wakes\(\) of s0 must return one bool per row, shape \(400,\), was list"),
        ("above[1:]", r"was bool of shape \(399,\)"),
        ("features['fast']", r"was float64 of shape \(400,\)"),
        ("features['fast'].fill(0)", "ValueError: assignment destination is read-only"),
    ],
)
def test_wakes_that_can_not_be_read_end_the_run_in_one_line(tmp_path: Path, answer: str, why: str) -> None:
    with prepared_run(tmp_path, (SEEING.replace("return rows", f"return {answer}"),)) as run:
        with pytest.raises(StrategyError, match=why):
            run_backtest(run, tmp_path / "reports")
        assert not list((tmp_path / "reports").iterdir())


def test_indicators_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    text = SEEING.replace('"last": Value()', '"last": 5')
    with (
        prepared_run(tmp_path, (text,)) as run,
        pytest.raises(
            StrategyError, match=r"indicators\(\) of s0 must name indicators, TypeError: int is no indicator"
        ),
    ):
        simulate(run, run.market, EveryRow())


def test_rows_are_counted_only_as_far_as_a_ref_has_named_them(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "journal")
    with pytest.raises(JournalError, match="1 rows to count, Refs have named 0 more"):
        journal.count_rows(1)
    journal.close()


def test_lazy_rows_are_the_bars_that_they_stand_for(tmp_path: Path) -> None:
    with prepared_run(tmp_path, (PLAIN,), n_bars=50) as run:
        (rows,) = (block.messages for block in run.market.blocks())
    assert isinstance(rows, BarRows)
    every = list(rows)
    assert [rows[at] for at in range(len(rows))] == every and rows[-1] == every[-1]
    assert list(rows[3:9]) == every[3:9] and rows[3:9][0] == every[3]
    assert rows.ts_ns.tolist() == [bar.ts_ns for bar in every]
    with pytest.raises(ValueError, match="stride was 2"):
        rows[::2]
    with pytest.raises(IndexError):
        rows[50]
