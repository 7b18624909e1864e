"""Candles: exact whatever the chunks, round in width, bounded in number."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.backtest.page_bars import CANDLES_MAX, bucket_candles, candle_width_ns
from njord.backtest.reported import PricePiece
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_S, NS_PER_YEAR

Rows = list[tuple[int, int, int, int, int]]


def chunks_of(rows: Rows, size: int) -> Iterator[PricePiece]:
    for first in range(0, len(rows), size):
        ts_ns, opened, high, low, close = (
            np.array(column, dtype=np.int64) for column in zip(*rows[first : first + size], strict=True)
        )
        yield PricePiece(ts_ns, ts_ns, opened, high, low, close)


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    steps = draw(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    minutes = np.cumsum([draw(st.integers(0, 100)), *steps[1:]])
    prices = [sorted(draw(st.lists(st.integers(1, 99), min_size=4, max_size=4))) for _ in steps]
    turn = draw(st.booleans())
    return [
        (int(minute) * NS_PER_MINUTE, p[2] if turn else p[1], p[3], p[0], p[1] if turn else p[2])
        for minute, p in zip(minutes, prices, strict=True)
    ]


@given(rows=markets(), size=st.integers(1, 7), width=st.sampled_from([1, 5, 15, 60]))
def test_a_candle_has_the_first_open_the_highest_high_the_lowest_low_and_the_last_close(
    rows: Rows, size: int, width: int
) -> None:
    width_ns = width * NS_PER_MINUTE
    candles = bucket_candles(chunks_of(rows, size), width_ns, NS_PER_MINUTE)
    expected: dict[int, Rows] = {}
    for row in rows:
        expected.setdefault(row[0] // width_ns * width_ns, []).append(row)
    assert candles.ts_ns.tolist() == list(expected)
    assert candles.open.tolist() == [bars[0][1] for bars in expected.values()]
    assert candles.high.tolist() == [max(bar[2] for bar in bars) for bars in expected.values()]
    assert candles.low.tolist() == [min(bar[3] for bar in bars) for bars in expected.values()]
    assert candles.close.tolist() == [bars[-1][4] for bars in expected.values()]
    assert candles.n_bars == len(rows)


def test_bars_that_are_candles_keep_their_own_time() -> None:
    rows = [(7 + i * NS_PER_MINUTE, 2, 4, 1, 3) for i in range(5)]
    candles = bucket_candles(chunks_of(rows, 2), NS_PER_MINUTE, NS_PER_MINUTE)
    assert candles.ts_ns.tolist() == [row[0] for row in rows]


def test_no_bars_are_no_candles() -> None:
    with pytest.raises(ValueError, match="no bars"):
        bucket_candles(iter(()), NS_PER_MINUTE, NS_PER_MINUTE)


@given(
    interval_ns=st.sampled_from(
        [NS_PER_MS, NS_PER_S, 7 * NS_PER_S, NS_PER_MINUTE, 5 * NS_PER_MINUTE, NS_PER_DAY]
    ),
    start_ns=st.integers(0, NS_PER_YEAR),
    span_ns=st.integers(1, 200 * NS_PER_YEAR),
)
def test_never_more_candles_than_the_page_has_room_for(interval_ns: int, start_ns: int, span_ns: int) -> None:
    width_ns = candle_width_ns(interval_ns, span_ns)
    assert width_ns >= max(interval_ns, NS_PER_S)
    origin_ns = start_ns if width_ns == interval_ns else 0
    first, last = (start_ns - origin_ns) // width_ns, (start_ns + span_ns - 1 - origin_ns) // width_ns
    assert last - first + 1 <= CANDLES_MAX


def test_few_bars_are_shown_as_they_are() -> None:
    assert candle_width_ns(NS_PER_MINUTE, 4_000 * NS_PER_MINUTE) == NS_PER_MINUTE
    assert candle_width_ns(NS_PER_MINUTE, 4_001 * NS_PER_MINUTE) == 3 * NS_PER_MINUTE
    assert candle_width_ns(NS_PER_MINUTE, 1_000_000 * NS_PER_MINUTE) == 360 * NS_PER_MINUTE


def test_a_span_that_can_be_cut_at_both_ends_has_room_for_one_candle_more() -> None:
    assert candle_width_ns(NS_PER_MINUTE, 3 * 3_999 * NS_PER_MINUTE) == 3 * NS_PER_MINUTE
    assert candle_width_ns(NS_PER_MINUTE, 3 * 4_000 * NS_PER_MINUTE) == 5 * NS_PER_MINUTE
