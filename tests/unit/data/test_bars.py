"""Bars as they come, by hand: what closes one, what is too late, what a silent minute gives."""

from typing import Literal

import pytest

from njord.core.contracts import TimerFired, TimerSet, TradeEvent
from njord.core.errors import InvariantError
from njord.core.types import Side
from njord.data.bars import AHEAD_MAX_NS, BARS_MAX, LATE_BARS_MAX, ActivityBarBuilder, BarBuilder
from njord.kernels.bars import INT64_MAX
from njord.kernels.bars_activity import LOTS, NOTIONAL, TRADES
from tests.unit.data.bars_host import DAY_NS, MINUTE_NS, SECOND_NS, START_NS, Host

T = START_NS
S = SECOND_NS
M = MINUTE_NS
HOUR_NS = 60 * M


def test_a_bar_is_first_highest_lowest_last_and_sum() -> None:
    host = Host(BarBuilder(1))
    for at, price, qty in ((1, 100, 5), (2, 103, 1), (3, 99, 2), (59, 101, 4)):
        assert host.trade(T + at * S, price, qty) == []
    host.trade(T + M, 500)
    assert host.rows() == [(T, 100, 103, 99, 101, 12)]


def test_the_trade_on_the_border_opens_the_next_bar_and_the_timer_before_it_closes_the_last() -> None:
    host = Host(BarBuilder(1))
    host.trade(T + M - 1, 100)
    (bar,) = host.trade(T + M, 200)
    assert (bar.close, bar.ts_ns) == (100, T + M)


def test_the_last_bar_closes_on_a_timer_at_its_end() -> None:
    host = Host(BarBuilder(1))
    host.trade(T + 10 * S, 100)
    assert host.wait(T + M - 1) == []
    (bar,) = host.wait(T + M)
    assert (bar.ts_open_ns, bar.ts_ns, bar.volume_lots) == (T, T + M, 1)
    assert host.wait(T + HOUR_NS) == []


def test_a_late_trade_does_not_become_the_high_of_the_next_minute() -> None:
    builder = BarBuilder(1)
    host = Host(builder)
    host.trade(T + 40 * S, 90)
    host.trade(T + M + S, 80)
    host.trade(T + M + 2 * S, 99, happened_ns=T + 30 * S)
    host.wait(T + 2 * M)
    assert host.rows() == [(T, 90, 90, 90, 90, 1), (T + M, 80, 80, 80, 80, 1)]
    counts = builder.counts(0)
    assert (counts.n_late, counts.late_by_bar) == (1, {T: 1})


def test_a_trade_within_the_lateness_enters_its_own_bar_while_the_next_one_is_open() -> None:
    builder = BarBuilder(1, lateness_ns=5 * S)
    host = Host(builder)
    host.trade(T + 40 * S, 90)
    host.trade(T + M + S, 80)
    assert host.trade(T + M + 4 * S, 99, 3, happened_ns=T + 30 * S) == []
    (bar,) = host.wait(T + M + 5 * S)
    assert (bar.ts_open_ns, bar.ts_ns) == (T, T + M + 5 * S)
    assert host.rows() == [(T, 99, 99, 90, 90, 4)], "the earlier trade opens the bar"
    host.trade(T + M + 5 * S, 70, happened_ns=T + 59 * S)
    assert builder.counts(0).n_late == 1


def test_a_late_trade_of_an_older_bar_still_moves_the_timer_to_that_bar() -> None:
    host = Host(BarBuilder(1, lateness_ns=2 * M))
    host.trade(T + 2 * M + S, 80)
    host.trade(T + 2 * M + 2 * S, 70, happened_ns=T + M)
    assert [bar.ts_ns for bar in host.wait(T + HOUR_NS)] == [T + 4 * M, T + 5 * M]


def test_the_venues_newer_trade_closes_a_bar_before_our_clock_does() -> None:
    host = Host(BarBuilder(1))
    host.trade(T + 50 * S, 90)
    (bar,) = host.trade(T + 59 * S, 80, happened_ns=T + M + S)
    assert (bar.ts_open_ns, bar.ts_ns) == (T, T + 59 * S), "it carries the moment it became known"


def test_a_trade_from_far_in_the_future_is_counted_and_makes_no_other_late() -> None:
    builder = BarBuilder(1)
    host = Host(builder)
    host.trade(T + S, 90, happened_ns=T + S + AHEAD_MAX_NS + 1)
    host.trade(T + 2 * S, 91)
    host.wait(T + M)
    assert host.rows() == [(T, 91, 91, 91, 91, 1)]
    assert (builder.counts(0).n_ahead, builder.counts(0).n_late) == (1, 0)
    host.trade(T + M, 92, happened_ns=T + M + AHEAD_MAX_NS)
    assert builder.counts(0).n_ahead == 1, "as far as clocks differ is not too far"


def test_silent_minutes_are_holes_or_flat_bars_as_asked() -> None:
    traded = [(T, 90, 90, 90, 90, 1), (T + 3 * M, 80, 80, 80, 80, 1)]
    flat = [(T + n * M, 90, 90, 90, 90, 0) for n in (1, 2)]
    for gaps, rows in (("hole", traded), ("flat", [traded[0], *flat, traded[1]])):
        host = Host(BarBuilder(1, gaps="flat" if gaps == "flat" else "hole"))
        host.trade(T, 90)
        host.trade(T + 3 * M, 80)
        host.wait(T + 4 * M)
        assert host.rows() == rows, gaps


def test_each_flat_bar_comes_on_its_own_minutes_timer() -> None:
    host = Host(BarBuilder(1, gaps="flat", lateness_ns=2 * S))
    host.trade(T, 90)
    host.wait(T + 4 * M)
    assert [bar.ts_ns for bar in host.bars] == [T + n * M + 2 * S for n in (1, 2, 3)]


def test_no_flat_bar_comes_before_the_first_trade() -> None:
    builder = BarBuilder(2, gaps="flat")
    host = Host(builder)
    host.trade(T + 5 * M, 90, instrument=1)
    host.wait(T + 8 * M)
    assert [bar.instrument for bar in host.bars] == [1, 1, 1]


def fired(ts_ns: int, due_ns: int, key: str = f"bars.{M}", strategy_id: str = "") -> TimerFired:
    return TimerFired(ts_ns=ts_ns, strategy_id=strategy_id, instrument=0, key=key, due_ns=due_ns)


def test_after_a_sleep_flat_bars_come_in_pieces_and_in_order() -> None:
    host = Host(BarBuilder(1, gaps="flat"))
    host.trade(T, 90)
    woken_ns = T + (2 * BARS_MAX + 10) * M
    sizes = []
    for _ in range(3):
        caused = host.step(fired(woken_ns, T + M))
        assert isinstance(caused[-1], TimerSet)
        sizes.append(len(caused) - 2)
    assert sizes == [BARS_MAX, BARS_MAX, 10]
    assert [bar.ts_open_ns for bar in host.bars] == [T + n * M for n in range(2 * BARS_MAX + 10)]


@pytest.mark.parametrize("gaps", ["hole", "flat"])
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize("lateness_minutes", [0, 2, 20])
def test_trades_alone_complete_bars_where_timers_are_stuck(
    gaps: Literal["hole", "flat"], minutes: int, lateness_minutes: int
) -> None:
    def builder() -> BarBuilder:
        return BarBuilder(1, minutes * M, gaps=gaps, lateness_ns=lateness_minutes * M)

    stuck, timely = Host(builder(), is_stuck=True), Host(builder())
    for host in (stuck, timely):
        for at, price in ((0, 90), (1, 91), (7, 80), (31, 70), (32, 71), (47, 60), (120, 1)):
            host.trade(T + at * M, price)
    assert stuck.rows() == timely.rows()
    traded = [row for row in stuck.rows() if row[5]]
    assert sum(row[5] for row in traded) == 6
    assert len(traded) == {1: 6, 5: 4}[minutes]


def test_timers_of_others_are_not_ours() -> None:
    host = Host(BarBuilder(1))
    host.trade(T, 90)
    for timer in (fired(T + M, T + M, key="other"), fired(T + M, T + M, strategy_id="mine")):
        assert host.step(timer) == [timer]
    assert len(host.step(fired(T + M, T + M))) == 2


def test_a_timer_that_fires_early_is_set_again_and_no_timer_is_set_twice() -> None:
    host = Host(BarBuilder(1, lateness_ns=5 * S))
    host.trade(T, 90)
    again = host.step(fired(T + M, T + M + 5 * S))[1:]
    assert again == [TimerSet(ts_ns=T + M, instrument=0, key=f"bars.{M}", due_ns=T + M + 5 * S)]
    host.trade(T + M, 91)
    quiet = TradeEvent(
        ts_ns=T + M + S,
        instrument=0,
        price_ticks=1,
        qty_lots=1,
        side=Side.SELL,
        trade_id=0,
        ts_venue_ns=T + M,
    )
    assert host.step(quiet) == [quiet]


def test_an_hour_starts_on_the_hour_and_is_folded_from_minutes() -> None:
    host = Host(BarBuilder(1, HOUR_NS))
    host.trade(T + 7 * HOUR_NS + 30 * M, 90)
    host.trade(T + 7 * HOUR_NS + 45 * M, 95, 2)
    host.trade(T + 7 * HOUR_NS + 46 * M, 60, happened_ns=T + 7 * HOUR_NS + 30 * M)
    assert host.wait(T + 8 * HOUR_NS - 1) == []
    host.wait(T + 8 * HOUR_NS)
    assert host.rows() == [(T + 7 * HOUR_NS, 90, 95, 90, 95, 3)], "late for its minute is late"


@pytest.mark.parametrize(("minutes", "n_bars"), [(1, 1440), (5, 288), (60, 24), (1440, 1)])
def test_a_day_of_minutes_gives_every_bar_of_the_day(minutes: int, n_bars: int) -> None:
    host = Host(BarBuilder(1, minutes * M))
    for minute in range(1440):
        host.trade(T + minute * M + 59_999_999_999, 100 + minute)
    host.wait(T + DAY_NS)
    assert [bar.ts_open_ns for bar in host.bars] == [T + n * minutes * M for n in range(n_bars)]
    assert [bar.ts_ns for bar in host.bars] == [T + (n + 1) * minutes * M for n in range(n_bars)]
    assert sum(bar.volume_lots for bar in host.bars) == 1440


def test_weeks_start_on_monday() -> None:
    host = Host(BarBuilder(1, 7 * DAY_NS))
    host.trade(T, 90)
    host.wait(T + 7 * DAY_NS)
    assert [bar.ts_open_ns for bar in host.bars] == [T - 2 * DAY_NS], (
        "Wednesday the 15th belongs to Monday the 13th"
    )


def test_what_no_bar_can_hold_is_counted_and_left_out() -> None:
    builder = BarBuilder(1)
    host = Host(builder)
    host.trade(T, 100, INT64_MAX)
    host.trade(T + 1, 100, 1)
    host.trade(T + 2, 0, 1)
    host.wait(T + M)
    assert host.rows() == [(T, 100, 100, 100, 100, INT64_MAX)]
    assert builder.counts(0).n_refused == 2


def test_late_trades_are_counted_by_bar_for_the_newest_bars_only() -> None:
    builder = BarBuilder(1)
    host = Host(builder)
    n_bars = LATE_BARS_MAX + 5
    host.trade(T + n_bars * M, 100)
    for n in range(n_bars):
        host.trade(T + n_bars * M, 100, happened_ns=T + n * M)
    counts = builder.counts(0)
    assert counts.n_late == n_bars
    assert (len(counts.late_by_bar), min(counts.late_by_bar)) == (LATE_BARS_MAX, T + 5 * M)


def test_a_builder_goes_on_from_a_snapshot_as_if_nothing_had_happened() -> None:
    def first(host: Host) -> None:
        host.trade(T + S, 90)
        host.trade(T + S, 50, 2, instrument=1)
        host.trade(T + M + 2 * S, 91)
        host.trade(T + M + 9 * S, 1, happened_ns=T)

    def second(host: Host) -> None:
        host.trade(T + M + 10 * S, 95, happened_ns=T + 59 * S)
        host.trade(T + 9 * M, 92)
        host.wait(T + 20 * M)

    def builder() -> BarBuilder:
        return BarBuilder(2, 5 * M, lateness_ns=8 * S, gaps="flat")

    whole, before = Host(kept := builder()), Host(one := builder())
    first(whole)
    first(before)
    after = Host(other := builder())
    other.restore(one.snapshot())
    after.timers = before.timers
    n_before = len(whole.bars)
    second(whole)
    second(after)
    assert after.bars == whole.bars[n_before:] != []
    assert other.counts(0) == kept.counts(0)
    assert other.snapshot() == kept.snapshot()
    with pytest.raises(InvariantError, match="can not go on"):
        BarBuilder(2, M).restore(one.snapshot())


def test_settings_that_make_no_bar_are_refused() -> None:
    with pytest.raises(ValueError, match="interval_ns must be > 0"):
        BarBuilder(1, 0)
    with pytest.raises(ValueError, match="threshold must be > 0"):
        ActivityBarBuilder(1, TRADES, 0)


@pytest.mark.parametrize(
    ("measure", "threshold", "rows"),
    [
        (TRADES, 2, [(T, 10, 12, 10, 12, 7), (T + 2, 8, 9, 8, 9, 9)]),
        (LOTS, 7, [(T, 10, 12, 10, 12, 7), (T + 2, 8, 8, 8, 8, 8)]),
        (NOTIONAL, 100, [(T, 10, 12, 8, 8, 15)]),
    ],
)
def test_an_activity_bar_closes_with_the_trade_that_fills_it(
    measure: int, threshold: int, rows: list[tuple[int, ...]]
) -> None:
    host = Host(ActivityBarBuilder(1, measure, threshold))
    for at, price, qty in ((0, 10, 5), (1, 12, 2), (2, 8, 8), (3, 9, 1), (4, 9, 2)):
        host.trade(T + at, price, qty)
    assert host.rows() == rows


def test_an_activity_builder_goes_on_from_a_snapshot_and_counts_what_it_refuses() -> None:
    one, other = ActivityBarBuilder(1, NOTIONAL, 1000), ActivityBarBuilder(1, NOTIONAL, 1000)
    host = Host(one)
    host.trade(T, 100, 9)
    host.trade(T + 1, 2, INT64_MAX // 2 + 1)
    assert one.n_refused(0) == 1
    other.restore(one.snapshot())
    after = Host(other)
    after.trade(T + 2, 100, 1)
    assert after.rows() == [(T, 100, 100, 100, 100, 10)]
    with pytest.raises(InvariantError, match="can not go on"):
        ActivityBarBuilder(1, LOTS, 1000).restore(one.snapshot())
