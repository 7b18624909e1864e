"""Bars from any stream of trades: batch = fold of the step, blocks do not matter, and online = batch.

The oracle groups trades in plain Python and knows nothing of steps, blocks, windows or timers.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from njord.apps.resample import Resampled, resample
from njord.data.bars import ActivityBarBuilder, BarBuilder
from njord.kernels import bars as kernels
from njord.kernels.bars import NO_BAR, OpenBar, time_bar_step, time_bars
from njord.kernels.bars_activity import activity_bar_step, activity_bars, next_activity_bar
from njord.kernels.bars_fold import fold_step, folded_bars
from tests.unit.data.bars_host import (
    INSTRUMENT,
    MINUTE_NS,
    SECOND_NS,
    START_NS,
    Host,
    Row,
    Trade,
    bar_rows,
    trade_rows,
)

M = MINUTE_NS
GAPS = st.sampled_from(["hole", "flat"])
TIMEFRAMES = {"1m": M, "5m": 5 * M, "1h": 60 * M, "90s": 90 * SECOND_NS, "15s": 15 * SECOND_NS}

# Steps in time: nothing, moments, borders of bars met exactly, silences, and backwards.
_forward = st.one_of(
    st.just(0),
    st.integers(1, 20 * SECOND_NS),
    st.sampled_from([15 * SECOND_NS, 30 * SECOND_NS, M, 5 * M]),
    st.integers(M, 12 * M),
)
_backward = st.one_of(st.integers(-90 * SECOND_NS, -1), st.sampled_from([-M, -30 * SECOND_NS]))
_prices = st.integers(1, 12)
_quantities = st.integers(1, 9)


def streams(steps: st.SearchStrategy[int]) -> st.SearchStrategy[list[Trade]]:
    """Streams of trades whose times differ by `steps`."""
    moves = st.lists(st.tuples(steps, _prices, _quantities), max_size=60)

    def walk(moves: list[tuple[int, int, int]]) -> list[Trade]:
        times = accumulate((step for step, _, _ in moves), initial=START_NS + 10 * M)
        return [(max(0, at), price, qty) for at, (_, price, qty) in zip(times, moves, strict=False)]

    return moves.map(walk)


ORDERED = streams(_forward)
DISORDERED = streams(st.one_of(_forward, _forward, _forward, _backward))


def blocks_of(trades: Sequence[Trade], cuts: Iterable[int]) -> list[Any]:
    """Cut a stream into blocks, some of them empty."""
    borders = [0, *sorted(cut % (len(trades) + 1) for cut in cuts), len(trades)]
    return [trade_rows(trades[a:b]) for a, b in pairwise(borders)]


CUTS = st.lists(st.integers(0, 60), max_size=4)


def grouped(trades: Iterable[Trade], width: int, gaps: str = "hole") -> list[Row]:
    """The oracle: trades of one bar, in the order of their times, equal times as they came."""
    groups: dict[int, list[Trade]] = {}
    for trade in trades:
        groups.setdefault(trade[0] // width * width, []).append(trade)
    rows: list[Row] = []
    for start in sorted(groups):
        while gaps == "flat" and rows and rows[-1][0] + width < start:
            last = rows[-1]
            rows.append((last[0] + width, last[4], last[4], last[4], last[4], 0))
        group = sorted(groups[start], key=lambda trade: trade[0])
        prices = [price for _, price, _ in group]
        rows.append((start, prices[0], max(prices), min(prices), prices[-1], sum(qty for *_, qty in group)))
    return rows


def in_time(trades: Iterable[Trade], width: int) -> list[Trade]:
    """The trades whose bar is not older than the newest one seen."""
    kept: list[Trade] = []
    newest = -1
    for trade in trades:
        newest = max(newest, trade[0] // width)
        if trade[0] // width == newest:
            kept.append(trade)
    return kept


def base_of(width: int) -> int:
    """Minutes where they fit."""
    return M if width % M == 0 else width


# --- batch --------------------------------------------------------------------------------------------------------


@given(DISORDERED, CUTS, st.sampled_from(list(TIMEFRAMES)), GAPS)
def test_resampling_is_the_oracles_grouping_whatever_the_blocks(
    trades: list[Trade], cuts: list[int], timeframe: str, gaps: Literal["hole", "flat"]
) -> None:
    width = TIMEFRAMES[timeframe]
    kept = in_time(trades, base_of(width))
    found = resample(blocks_of(trades, cuts), INSTRUMENT, timeframe=timeframe, gaps=gaps)
    assert bar_rows(found) == grouped(kept, width, gaps)
    assert found.counts.n_late == len(trades) - len(kept)
    assert found.counts.n_rows == len(trades)


@given(ORDERED, CUTS, st.sampled_from(["5m", "1h"]), GAPS)
def test_folded_minutes_are_the_bars_of_the_trades(
    trades: list[Trade], cuts: list[int], timeframe: str, gaps: Literal["hole", "flat"]
) -> None:
    minutes = list(resample(blocks_of(trades, cuts), INSTRUMENT, timeframe="1m", gaps=gaps))
    folded = bar_rows(resample(minutes, INSTRUMENT, timeframe=timeframe, interval_ns=M, gaps=gaps))
    assert folded == grouped(trades, TIMEFRAMES[timeframe], gaps)


def written(out: Any, n_bars: int) -> list[Row]:
    return [tuple(column) for column in out[:, :n_bars].T.tolist()]


def as_row(bar: OpenBar) -> Row:
    return (bar.start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume_lots, bar.last_ns)


# Some trades that no bar can hold, so that batch and fold must stop at the same row.
_wild = st.lists(
    st.tuples(
        st.integers(-2, 3 * M),
        st.integers(0, 2**62),
        st.one_of(st.integers(-1, 3), st.integers(2**61, 2**63 - 1)),
    ),
    max_size=12,
)


def readonly(trades: list[Trade]) -> tuple[Any, Any, Any]:
    columns = np.array(trades, dtype=np.int64).reshape(-1, 3).T.copy()
    columns.flags.writeable = False
    return columns[0], columns[1], columns[2]


@given(st.one_of(DISORDERED, _wild))
def test_the_batch_of_time_bars_is_the_fold_of_its_step(trades: list[Trade]) -> None:
    out = np.empty((kernels.N_OUT, len(trades) + 1), dtype=np.int64)
    status, row, n_bars, n_late, _, last = time_bars(NO_BAR, *readonly(trades), M, 0, out)
    bar, rows, late, stopped = NO_BAR, [], 0, kernels.JOINED
    for trade in trades:
        state, grown = time_bar_step(bar, *trade, M, 0)
        if state == kernels.OPENED and bar.open:
            rows.append(as_row(bar))
        late += state == kernels.LATE
        if state >= kernels.ROW_RANGE:
            stopped = state
            break
        bar = grown
    assert (status, written(out, n_bars), n_late, OpenBar(*last)) == (stopped, rows, late, bar)
    assert stopped == kernels.JOINED or trades[row] == trade
    fast = np.empty_like(out)
    found = kernels.sorted_time_bars(NO_BAR, *readonly(trades), M, 0, fast)
    if found[0] != kernels.UNSORTED:
        assert (found, written(fast, found[2])) == ((status, row, n_bars, n_late, -1, last), rows)


@given(st.one_of(DISORDERED, _wild), st.integers(0, 2), st.integers(1, 60))
def test_the_batch_of_activity_bars_is_the_fold_of_its_step(
    trades: list[Trade], measure: int, threshold: int
) -> None:
    out = np.empty((kernels.N_OUT, len(trades) + 1), dtype=np.int64)
    found = activity_bars(NO_BAR, 0, *readonly(trades), measure, threshold, out)
    bar, counted, rows, stopped = NO_BAR, 0, [], kernels.JOINED
    for trade in trades:
        state, bar, counted = activity_bar_step(bar, counted, *trade, measure, threshold)
        if state >= kernels.ROW_RANGE:
            stopped = state
            break
        if state == kernels.CLOSED:
            rows.append(as_row(bar))
            bar, counted = next_activity_bar(bar), 0
    assert (found[0], written(out, found[2]), found[3], found[4]) == (stopped, rows, bar, counted)


@given(st.lists(st.tuples(st.integers(0, 40), _prices, _prices, st.integers(0, 3)), max_size=40))
def test_the_batch_of_folded_bars_is_the_fold_of_its_step(bars: list[tuple[int, int, int, int]]) -> None:
    rows = [(START_NS + at * M, a, max(a, b), min(a, b), b, v) for at, a, b, v in bars]
    out = np.empty((kernels.N_OUT, len(rows) + 1), dtype=np.int64)
    start_ns, open_, high, low, close, volume = np.array(rows, dtype=np.int64).reshape(-1, 6).T.copy()
    status, _, n_bars, last = folded_bars(NO_BAR, start_ns, open_, high, low, close, volume, 5 * M, 0, out)
    bar, folded, stopped = NO_BAR, [], kernels.JOINED
    for row in rows:
        state, grown = fold_step(bar, *row, 5 * M, 0)
        if state > kernels.OPENED:
            stopped = state
            break
        if state == kernels.OPENED and bar.open:
            folded.append(as_row(bar))
        bar = grown
    assert (status, written(out, n_bars), last) == (stopped, folded, bar)


# --- online -------------------------------------------------------------------------------------------------------


def online(
    builder: BarBuilder, trades: Iterable[tuple[int, Trade]], cut: int = -1, *, is_stuck: bool = False
) -> tuple[list[Row], BarBuilder]:
    """Hand in trades with the time at which each became known; after `cut` of them go on from a snapshot."""
    host = Host(builder, is_stuck=is_stuck)
    now_ns = 0
    for n, (now_ns, (at, price, qty)) in enumerate(trades):
        if n == cut:
            builder = copied(builder)
            after = Host(builder, is_stuck=is_stuck)
            after.timers, after.bars = host.timers, host.bars
            host = after
        host.trade(now_ns, price, qty, happened_ns=at)
    last_ns = max((bar.ts_open_ns for bar in host.bars), default=0)
    host.wait(max(now_ns, last_ns) + 3 * 60 * M)
    return host.rows(), builder


def copied(builder: BarBuilder) -> BarBuilder:
    fresh = BarBuilder(1, builder._interval_ns, lateness_ns=builder._lateness_ns, gaps=builder._gaps)
    fresh.restore(builder.snapshot())
    return fresh


def same(rows: list[Row], expected: list[Row], gaps: str) -> bool:
    """Equal; where gaps are filled the host waited on after the last trade, and flat bars came on its timers."""
    if gaps == "hole" or not expected:
        return rows == expected
    close = expected[-1][4]
    return rows[: len(expected)] == expected and all(
        row[1:] == (close, close, close, close, 0) for row in rows[len(expected) :]
    )


@given(DISORDERED, st.sampled_from(list(TIMEFRAMES)), GAPS, st.integers(0, 60), st.booleans())
def test_online_bars_are_the_batchs_and_both_drop_the_same_trades(
    trades: list[Trade], timeframe: str, gaps: Literal["hole", "flat"], cut: int, is_stuck: bool
) -> None:
    known = accumulate((at for at, *_ in trades), max)  # A trade arrives at once, or after a newer one.
    builder = BarBuilder(1, TIMEFRAMES[timeframe], gaps=gaps)
    rows, builder = online(builder, zip(known, trades, strict=True), cut, is_stuck=is_stuck)
    batch = resample([trade_rows(trades)], INSTRUMENT, timeframe=timeframe, gaps=gaps)
    assert same(rows, bar_rows(batch), gaps)
    assert builder.counts(0).n_late == sum(builder.counts(0).late_by_bar.values()) == batch.counts.n_late


delayed = st.lists(st.integers(0, 30 * SECOND_NS), min_size=60, max_size=60)


@given(ORDERED, delayed, st.sampled_from(list(TIMEFRAMES)), GAPS)
def test_with_enough_lateness_the_order_of_arrival_does_not_matter(
    trades: list[Trade], delays: list[int], timeframe: str, gaps: Literal["hole", "flat"]
) -> None:
    arrivals = sorted(
        ((trade[0] + delay, trade) for trade, delay in zip(trades, delays, strict=False)),
        key=lambda pair: pair[0],
    )
    # The first to come of equal times opens; so the batch gets them in the order of their times, then of arrival.
    by_time = sorted((trade for _, trade in arrivals), key=lambda trade: trade[0])
    builder = BarBuilder(1, TIMEFRAMES[timeframe], lateness_ns=30 * SECOND_NS + 1, gaps=gaps)
    rows, builder = online(builder, arrivals)
    expected = bar_rows(resample([trade_rows(by_time)], INSTRUMENT, timeframe=timeframe, gaps=gaps))
    assert same(rows, expected, gaps)
    assert builder.counts(0).n_late == 0


@given(DISORDERED, delayed, st.sampled_from(list(TIMEFRAMES)), st.integers(0, 40 * SECOND_NS))
def test_what_is_dropped_is_what_came_after_its_bar_was_complete(
    trades: list[Trade], delays: list[int], timeframe: str, lateness_ns: int
) -> None:
    width = TIMEFRAMES[timeframe]
    base = base_of(width)
    arrivals = sorted(
        ((trade[0] + delay, trade) for trade, delay in zip(trades, delays, strict=False)),
        key=lambda pair: pair[0],
    )
    kept, newest = [], 0
    for now_ns, trade in arrivals:
        newest = max(newest, now_ns)
        if trade[0] // base * base + base + lateness_ns > newest:
            kept.append(trade)
        newest = max(newest, trade[0])
    rows, builder = online(BarBuilder(1, width, lateness_ns=lateness_ns), arrivals)
    assert rows == grouped(kept, width)
    assert builder.counts(0).n_late == len(trades) - len(kept)


@given(DISORDERED, CUTS, st.integers(0, 2), st.integers(1, 40))
def test_online_activity_bars_are_the_batchs(
    trades: list[Trade], cuts: list[int], measure: int, threshold: int
) -> None:
    name = ("ticks", "volume", "notional")[measure]
    units = (threshold, INSTRUMENT.qty(threshold), INSTRUMENT.notional(1, threshold))
    asked: dict[str, Any] = {name: units[measure]}
    host = Host(ActivityBarBuilder(1, measure, threshold))
    for at, price, qty in trades:
        host.trade(at, price, qty)
    batch: Resampled = resample(blocks_of(trades, cuts), INSTRUMENT, **asked)
    assert host.rows() == bar_rows(batch)
    assert sum(row[5] for row in host.rows()) <= sum(qty for *_, qty in trades)
