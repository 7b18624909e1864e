"""The steps by hand, and where the fast batch hands over to the plain one."""

import numpy as np
import pytest

from njord.core.units import NS_PER_DAY, NS_PER_MINUTE
from njord.kernels import bars as kernels
from njord.kernels.bars import (
    INT64_MAX,
    JOINED,
    LATE,
    MONDAY_NS,
    NO_BAR,
    OPENED,
    ROW_RANGE,
    TIME_MAX_NS,
    UNSORTED,
    VOLUME_RANGE,
    IntArray,
    OpenBar,
    base_interval_ns,
    origin_ns,
    sorted_time_bars,
    time_bar_step,
    time_bars,
)

M = NS_PER_MINUTE
BAR = OpenBar(M, M + 10, M + 20, 100, 110, 90, 105, 7)


@pytest.mark.parametrize(
    ("trade", "expected"),
    [
        ((M + 15, 200, 3), (JOINED, BAR._replace(high=200, volume_lots=10))),
        ((M + 20, 80, 3), (JOINED, BAR._replace(low=80, close=80, volume_lots=10))),
        ((M + 10, 95, 3), (JOINED, BAR._replace(volume_lots=10))),
        ((M, 95, 3), (JOINED, BAR._replace(first_ns=M, open=95, volume_lots=10))),
        ((2 * M - 1, 95, 3), (JOINED, BAR._replace(last_ns=2 * M - 1, close=95, volume_lots=10))),
        ((2 * M, 95, 3), (OPENED, OpenBar(2 * M, 2 * M, 2 * M, 95, 95, 95, 95, 3))),
        ((9 * M + 5, 95, 3), (OPENED, OpenBar(9 * M, 9 * M + 5, 9 * M + 5, 95, 95, 95, 95, 3))),
        ((M - 1, 95, 3), (LATE, BAR)),
        ((M + 15, 95, INT64_MAX - 6), (VOLUME_RANGE, BAR)),
        ((M + 15, 0, 3), (ROW_RANGE, BAR)),
        ((M + 15, 95, 0), (ROW_RANGE, BAR)),
        ((-1, 95, 3), (ROW_RANGE, BAR)),
        ((TIME_MAX_NS + 1, 95, 3), (ROW_RANGE, BAR)),
    ],
)
def test_a_trade_joins_its_bar_opens_the_next_or_is_late(
    trade: tuple[int, int, int], expected: tuple[int, OpenBar]
) -> None:
    assert time_bar_step(BAR, *trade, M, 0) == expected


def test_the_first_and_the_last_moment_there_is_have_a_bar_in_every_timeframe() -> None:
    for width in (1, 1_000_000_000, M, NS_PER_DAY, 7 * NS_PER_DAY, 400 * NS_PER_DAY):
        for ts_ns in (0, TIME_MAX_NS):
            status, bar = time_bar_step(NO_BAR, ts_ns, 1, 1, width, origin_ns(width))
            assert status == OPENED
            assert bar.start_ns <= ts_ns < bar.start_ns + width <= INT64_MAX


def test_whole_weeks_are_counted_from_a_monday_and_all_else_from_the_epoch() -> None:
    assert np.datetime64(MONDAY_NS, "ns").astype("datetime64[D]").item().weekday() == 0
    assert [origin_ns(n * NS_PER_DAY) for n in (1, 3, 7, 14)] == [0, 0, MONDAY_NS, MONDAY_NS]


def test_what_is_made_of_minutes_is_folded_from_minutes() -> None:
    assert [base_interval_ns(n) for n in (M, 5 * M, 90 * M // 60, 7 * NS_PER_DAY)] == [
        M, M, 90 * M // 60, M,
    ]  # fmt: skip


def columns(*trades: tuple[int, int, int]) -> tuple[IntArray, IntArray, IntArray]:
    ts_ns, price, lots = (np.array(column, dtype=np.int64) for column in zip(*trades, strict=True))
    for column in (ts_ns, price, lots):
        column.flags.writeable = False  # As `apps/resample.py` hands them in: compiled once.
    return ts_ns, price, lots


ORDERED = ((M, 10, 1), (M + 1, 11, 2), (3 * M, 12, 4), (3 * M, 9, 1), (3 * M + 5, 10, 1))


def test_the_fast_batch_takes_trades_in_order_and_gives_the_same() -> None:
    fast, plain = (np.zeros((kernels.N_OUT, 9), dtype=np.int64) for _ in range(2))
    found = sorted_time_bars(NO_BAR, *columns(*ORDERED), M, 0, fast)
    assert found == time_bars(NO_BAR, *columns(*ORDERED), M, 0, plain)
    assert found[:3] == (JOINED, 5, 1)
    assert fast[:, 0].tolist() == plain[:, 0].tolist() == [M, 10, 11, 10, 11, 3, M + 1]


@pytest.mark.parametrize(
    "unusual",
    [
        ((3 * M + 4, 10, 1),),  # Behind the one before, in one bar.
        ((2 * M, 10, 1),),  # Late.
        ((4 * M, 10, 1), (3 * M + 9, 10, 1), (5 * M, 10, 1)),
        ((6 * M, 10, 1), (3 * M + 9, 10, 1), (4 * M, 10, 1), (9 * M, 10, 1)),
        ((4 * M, 0, 1),),
        ((4 * M, 10, 0),),
        ((4 * M, 10, -5),),
        ((3 * M + 6, 10, INT64_MAX),),
        ((4 * M, 10, INT64_MAX // 2), (4 * M, 10, INT64_MAX // 2), (4 * M, 10, 2)),
        ((TIME_MAX_NS + 1, 10, 1),),
    ],
)
def test_the_fast_batch_leaves_everything_unusual_to_the_plain_one(
    unusual: tuple[tuple[int, int, int], ...],
) -> None:
    out = np.zeros((kernels.N_OUT, 12), dtype=np.int64)
    assert sorted_time_bars(NO_BAR, *columns(*ORDERED, *unusual), M, 0, out)[0] == UNSORTED


@pytest.mark.parametrize(
    "bar",
    [
        OpenBar(M, M + 5, M + 6, 10, 10, 10, 10, 1),  # Its last trade is later than the block's first.
        OpenBar(M, M, M, 10, 10, 10, 10, INT64_MAX - 2),
    ],
)
def test_the_fast_batch_does_not_go_on_with_a_bar_that_the_block_does_not_follow(bar: OpenBar) -> None:
    out = np.zeros((kernels.N_OUT, 9), dtype=np.int64)
    assert sorted_time_bars(bar, *columns(*ORDERED), M, 0, out)[0] == UNSORTED
