"""Stored rows to bars, by hand: the clock, gaps, late trades, the last bar, and every refusal in one line."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from njord.apps.resample import Resampled, resample
from njord.core.errors import DataError
from njord.kernels.bars import INT64_MAX, TIME_MAX_NS
from njord.storage.store.kinds import Columns
from tests.unit.data.bars_host import (
    DAY_NS,
    INSTRUMENT,
    MINUTE_NS,
    SECOND_NS,
    START_NS,
    Row,
    Trade,
    bar_columns,
    bar_rows,
    trade_rows,
)

T = START_NS
S = SECOND_NS
M = MINUTE_NS
HOUR_NS = 60 * M


def resampled(trades: list[Trade], **asked: Any) -> tuple[list[Row], Resampled]:
    """Resample trades that come in one block."""
    found = resample([trade_rows(trades)], INSTRUMENT, **asked)
    return bar_rows(found), found


def test_a_bar_of_one_trade_is_that_trade() -> None:
    assert resampled([(T + 5, 100, 7)], timeframe="1m")[0] == [(T, 100, 100, 100, 100, 7)]


def test_of_several_trades_in_one_millisecond_the_first_opens_and_the_last_closes() -> None:
    trades = [(T, 100, 1), (T, 105, 1), (T, 95, 1), (T, 101, 1)]
    assert resampled(trades, timeframe="1m")[0] == [(T, 100, 105, 95, 101, 4)]


def test_midnight_opens_the_next_day() -> None:
    rows, _ = resampled([(T + DAY_NS - 1, 100, 1), (T + DAY_NS, 200, 1)], timeframe="1d")
    assert [(row[0], row[4]) for row in rows] == [(T, 100), (T + DAY_NS, 200)]


def test_the_hour_of_a_first_trade_at_half_past_seven_starts_at_seven() -> None:
    rows, _ = resampled([(T + 7 * HOUR_NS + 30 * M, 100, 1)], timeframe="1h")
    assert rows == [(T + 7 * HOUR_NS, 100, 100, 100, 100, 1)]


def test_a_week_starts_on_monday_and_is_the_same_as_seven_days() -> None:
    monday_ns = T - 2 * DAY_NS
    trades = [(monday_ns - 1, 100, 1), (monday_ns, 101, 1), (T, 102, 1)]
    for timeframe in ("1w", "7d"):
        rows, found = resampled(trades, timeframe=timeframe)
        assert [(row[0], row[5]) for row in rows] == [(monday_ns - 7 * DAY_NS, 1), (monday_ns, 2)]
        assert found.interval_ns == 7 * DAY_NS


@pytest.mark.parametrize("trades", [[], [[]], [[], []]])
def test_nothing_gives_nothing(trades: list[list[Trade]]) -> None:
    for asked in ({"timeframe": "1m", "gaps": "flat"}, {"timeframe": "1h"}, {"ticks": 3}):
        found = resample(map(trade_rows, trades), INSTRUMENT, **asked)
        assert list(found) == []
        assert found.counts.n_rows == found.counts.n_bars == found.counts.n_partial == 0


@pytest.mark.parametrize(("timeframe", "n_bars"), [("1m", 1440), ("5m", 288), ("1h", 24), ("1d", 1)])
def test_a_day_does_not_drift(timeframe: str, n_bars: int) -> None:
    rows, found = resampled([(T + n * 10 * S, 100 + n, 1) for n in range(8640)], timeframe=timeframe)
    step = DAY_NS // n_bars
    assert [row[0] for row in rows] == list(range(T, T + DAY_NS, step))
    assert {row[5] for row in rows} == {8640 // n_bars}
    assert (found.counts.n_rows, found.counts.n_bars) == (8640, n_bars)


def test_a_trade_of_a_complete_minute_is_dropped_and_counted() -> None:
    trades = [
        (T + 40 * S, 90, 1),
        (T + M, 80, 1),
        (T + 30 * S, 99, 1),
        (T + 29 * S, 98, 1),
        (T + M + 1, 81, 1),
    ]
    rows, found = resampled(trades, timeframe="1m")
    assert rows == [(T, 90, 90, 90, 90, 1), (T + M, 80, 81, 80, 81, 2)]
    assert (found.counts.n_late, found.counts.first_late_ns) == (2, T + 30 * S)
    assert resampled(trades, timeframe="1h")[0] == [(T, 90, 90, 80, 81, 3)], "an hour is its minutes"


def test_a_late_trade_can_be_refused_with_its_row() -> None:
    trades = [(T + M, 80, 1), (T + M, 80, 1), (T + 30 * S, 99, 1)]
    with pytest.raises(
        DataError, match=r"^the trade in row 2 at 2023-11-15T00:00:30Z is late: .* --late drop$"
    ):
        resampled(trades, timeframe="1m", late="refuse")
    blocks = [trade_rows(trades[:1]), trade_rows([*trades[1:], trades[0]])]
    with pytest.raises(DataError, match="the trade in row 2 at"):
        list(resample(blocks, INSTRUMENT, timeframe="1m", late="refuse"))


def test_inside_a_bar_time_decides_who_opens_and_closes() -> None:
    assert resampled([(T + 5, 90, 1), (T + 1, 80, 1), (T + 3, 85, 1)], timeframe="1m")[0] == [
        (T, 80, 90, 80, 90, 3)
    ]


def test_a_trades_other_time_places_it_if_asked() -> None:
    block = {**trade_rows([(T, 100, 1)]), "ts_ns": np.array([T + M])}
    assert bar_rows(resample([block], INSTRUMENT, timeframe="1m"))[0][0] == T
    assert bar_rows(resample([block], INSTRUMENT, timeframe="1m", time="ts_ns"))[0][0] == T + M


def test_silent_minutes_are_holes_or_flat_bars_as_asked() -> None:
    trades = [(T + M, 90, 1), (T + 2 * M, 91, 2), (T + 5 * M, 80, 1)]
    holes, _ = resampled(trades, timeframe="1m")
    flat, found = resampled(trades, timeframe="1m", gaps="flat")
    assert [row[0] for row in holes] == [T + M, T + 2 * M, T + 5 * M]
    assert flat == [*holes[:2], (T + 3 * M, 91, 91, 91, 91, 0), (T + 4 * M, 91, 91, 91, 91, 0), holes[2]]
    assert (found.counts.n_flat, found.counts.n_bars) == (2, 5)


def test_flat_bars_fill_a_gap_between_blocks() -> None:
    blocks = [trade_rows([(T, 90, 1)]), trade_rows([]), trade_rows([(T + 3 * M, 80, 1)])]
    rows = bar_rows(resample(blocks, INSTRUMENT, timeframe="1m", gaps="flat"))
    assert [(row[0], row[4], row[5]) for row in rows] == [
        (T, 90, 1), (T + M, 90, 0), (T + 2 * M, 90, 0), (T + 3 * M, 80, 1),
    ]  # fmt: skip


def test_a_silence_of_centuries_is_a_wrong_timestamp() -> None:
    with pytest.raises(DataError, match=r"nothing was traded for .* bars before 2200-.* --gaps hole$"):
        resampled([(1, 90, 1), (7_258_118_400 * S, 80, 1)], timeframe="1m", gaps="flat")


def test_the_last_bar_is_given_out_or_left_out_as_asked() -> None:
    trades = [(T, 90, 1), (T + M, 91, 1), (T + 2 * M, 92, 1)]
    for asked, kept in (({"timeframe": "1m"}, 3), ({"timeframe": "5m"}, 1), ({"ticks": 2}, 1)):
        rows, found = resampled(trades, **asked)
        assert (len(rows), found.counts.n_partial) == (kept, 1 if "ticks" in asked else 0)
    for asked, kept in (({"timeframe": "1m"}, 2), ({"timeframe": "5m"}, 0)):
        rows, found = resampled(trades, keep_partial=False, **asked)
        assert (len(rows), found.counts.n_partial) == (kept, 1)
    assert len(resampled(trades, keep_partial=True, ticks=2)[0]) == 2


def test_tick_volume_and_dollar_bars_close_with_the_trade_that_fills_them() -> None:
    trades = [(T, 100, 500), (T + 1, 120, 200), (T + 2, 80, 800), (T + 3, 90, 100), (T + 4, 90, 200)]
    for asked, rows in (
        ({"ticks": 2}, [(T, 100, 120, 100, 120, 700), (T + 2, 80, 90, 80, 90, 900)]),
        ({"volume": Decimal("0.7")}, [(T, 100, 120, 100, 120, 700), (T + 2, 80, 80, 80, 80, 800)]),
        ({"notional": Decimal("1.00")}, [(T, 100, 120, 80, 80, 1500)]),
    ):
        assert resampled(trades, **asked)[0] == rows


def test_an_activity_bar_tells_its_close_and_never_runs_backwards() -> None:
    trades = [(T + 5, 100, 1), (T + 3, 101, 1), (T + 1, 102, 1), (T + 9, 103, 1)]
    blocks = list(resample([trade_rows(trades)], INSTRUMENT, ticks=2))
    assert [block["ts_open_ns"].tolist() for block in blocks] == [[T + 5, T + 5]]
    assert [block["ts_close_ns"].tolist() for block in blocks] == [[T + 5, T + 9]]


def test_bars_fold_the_same_with_their_gaps_filled_or_open() -> None:
    trades = [(T + 3 * M, 90, 1), (T + 61 * M, 99, 2), (T + 66 * M, 70, 1), (T + 200 * M, 80, 1)]
    direct = resampled(trades, timeframe="1h")[0]
    for gaps in ("hole", "flat"):
        minutes = list(resample([trade_rows(trades)], INSTRUMENT, timeframe="1m", gaps=gaps))
        hours = resample(minutes, INSTRUMENT, timeframe="1h", interval_ns=M)
        assert [row for row in bar_rows(hours) if row[5]] == direct


def folded(rows: list[Row], timeframe: str = "1h", interval_ns: int = M) -> list[Row]:
    return bar_rows(resample([bar_columns(rows)], INSTRUMENT, timeframe=timeframe, interval_ns=interval_ns))


def test_bars_without_volumes_fold_by_their_prices() -> None:
    rows = [
        (T, 5, 5, 5, 5, 0),
        (T + M, 7, 7, 7, 7, 0),
        (T + 2 * M, 4, 4, 4, 4, 0),
        (T + 3 * M, 4, 4, 4, 4, 0),
    ]
    assert folded(list(rows)) == [(T, 5, 7, 4, 4, 0)]


def test_bars_that_do_not_make_the_timeframe_are_refused() -> None:
    one: list[Row] = [(T, 5, 5, 5, 5, 1)]
    assert folded(one, "1w", DAY_NS)[0][0] == T - 2 * DAY_NS
    for timeframe, interval_ns in (("1m", HOUR_NS), ("90m", HOUR_NS), ("21d", 3 * DAY_NS)):
        with pytest.raises(DataError, match="are not made of whole bars of"):
            folded(one, timeframe, interval_ns)
    with pytest.raises(DataError, match=r"the bar of ETH/USDT at .* lies across two bars of 1h"):
        folded([(T + HOUR_NS - M + 1, 5, 5, 5, 5, 1)])


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ((T, 5, 5, 5, 5, 1), "row 1 of ETH/USDT, a bar at 2023-11-15T00:00:00Z, does not rise"),
        ((T + M, 5, 4, 5, 5, 1), "is no bar"),
        ((T + M, 5, 6, 5, 7, 1), "is no bar"),
        ((T + M, 5, 6, 6, 6, 1), "is no bar"),
        ((T + M, 0, 6, 0, 6, 1), "is no bar"),
        ((T + M, 5, 5, 5, 5, -1), "is no bar"),
        ((T + M, 5, 5, 5, 5, INT64_MAX), "the volume of the bar from .* does not fit 63 bits at row 1"),
    ],
)
def test_rows_that_are_no_bars_are_refused_by_row(second: Row, said: str) -> None:
    with pytest.raises(DataError, match=said):
        folded([(T, 5, 5, 5, 5, 1), second])


@pytest.mark.parametrize(
    ("bad", "asked", "said"),
    [
        ((-1, 5, 1), {"timeframe": "1m"}, r"row 2 of ETH/USDT \(-1 ns, 5 ticks, 1 lots\) is no trade"),
        ((TIME_MAX_NS + 1, 5, 1), {"timeframe": "1h"}, "is no trade between 1970 and 2260"),
        ((T, 0, 1), {"timeframe": "1m"}, "is no trade"),
        ((T, 5, 0), {"timeframe": "1m"}, "is no trade"),
        ((T, 5, -1), {"ticks": 5}, "is no trade"),
        (
            (T, 5, INT64_MAX),
            {"timeframe": "1m"},
            "the volume of the bar from 2023-11-15T00:00:00Z does not fit",
        ),
        ((T, 5, INT64_MAX), {"ticks": 5}, "the volume of the bar"),
        ((T, 5, INT64_MAX // 4), {"notional": Decimal(5)}, r"the notional \(MONEY_RANGE\) of the bar"),
        ((T, 5, INT64_MAX // 5), {"notional": Decimal(5)}, r"the notional \(MONEY_RANGE\) of the bar"),
    ],
)
def test_what_no_bar_can_hold_is_refused_with_its_row(bad: Trade, asked: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        resampled([(T, 5, 1), (T, 5, 1), bad], **asked)
    assert "\n" not in str(caught.value)


def test_the_largest_volume_there_is_fits() -> None:
    assert resampled([(T, 5, INT64_MAX - 1), (T + 1, 5, 1)], timeframe="1m")[0][0][5] == INT64_MAX


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "0 of timeframe, ticks, volume and notional are given"),
        ({"timeframe": "1m", "ticks": 5}, "2 of timeframe, ticks, volume and notional are given"),
        ({"timeframe": "1x"}, "--timeframe 1x is not a timeframe"),
        ({"ticks": 0}, "a bar of 0 is no whole number of trades"),
        ({"volume": Decimal("0.0005")}, r"a bar of 0.0005 is no whole number of lots of 0.001"),
        ({"volume": Decimal("1e30")}, "that an int64 holds"),
        ({"notional": Decimal("0.000001")}, "no whole number of units"),
        ({"notional": Decimal("NaN")}, "a bar of NaN is no whole number"),
        ({"ticks": 5, "gaps": "flat"}, "have no gaps to fill"),
        ({"ticks": 5, "interval_ns": M}, "these rows are bars"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_a_row_is_read(asked: Any, said: str) -> None:
    def read() -> Iterator[Columns]:
        was_read.append(True)
        yield trade_rows([])

    was_read: list[bool] = []
    with pytest.raises(DataError, match=said) as caught:
        resample(read(), INSTRUMENT, **asked)
    assert "\n" not in str(caught.value)
    assert not was_read


def test_bars_without_their_interval_are_no_trades() -> None:
    with pytest.raises(DataError, match="rows without ts_venue_ns are no trades"):
        bar_rows(resample([bar_columns([(T, 5, 5, 5, 5, 1)])], INSTRUMENT, timeframe="1h"))
