"""Where did the run trade? Fills and round trips of a result come in; marks counted per candle and a bounded table
of round trips, with what was left out, go out.
"""

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from njord.backtest.page_bars import Candles
from njord.backtest.result import BacktestResult, ResultFill, ResultTrip
from njord.core.types import Side
from njord.core.units import EXACT, NS_PER_S, ZERO

TRIPS_MAX = 8_000
TRIP_BYTES_MAX = 1_000_000
LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = range(4)


class Marks(msgspec.Struct, frozen=True):
    """Fills counted on candles, as columns of equal length.

    Attributes:
        candle: Index of the candle, not decreasing.
        kind: LONG_ENTRY, LONG_EXIT, SHORT_ENTRY or SHORT_EXIT.
        n: How many fills of that kind lie there.
    """

    candle: list[int]
    kind: list[int]
    n: list[int]


class TripTable(msgspec.Struct, frozen=True):
    """Round trips for the page.

    Attributes:
        index: Positions in the result's list, increasing.
        columns: Column name -> values, for the script that sorts and pages.
        left_out: What is not in the table, in a sentence; empty if everything is.
    """

    index: list[int]
    columns: dict[str, list[Any]]
    left_out: str


class Marker:
    """Follows the fills of one instrument, one by one."""

    def __init__(self) -> None:
        self._times, self._kinds = array("q"), array("b")
        self._position = ZERO

    def add(self, fill: ResultFill) -> None:
        """Take the next fill; one that turns a position over counts as the entry on the other side."""
        qty = Decimal(fill.qty)
        if fill.side == Side.BUY:
            self._position = EXACT.add(self._position, qty)
            kind = LONG_ENTRY if self._position > 0 else SHORT_EXIT
        else:
            self._position = EXACT.subtract(self._position, qty)
            kind = SHORT_ENTRY if self._position < 0 else LONG_EXIT
        self._times.append(fill.ts_ns)
        self._kinds.append(kind)

    def kinds(self) -> list[int]:
        """Return what each fill was."""
        return self._kinds.tolist()

    def marks(self, candles: Candles) -> Marks:
        """Return the marks on `candles`; one stamped after the last candle's opening lies on the last."""
        times = np.array(self._times, dtype=np.int64)
        at = np.maximum(np.searchsorted(candles.ts_ns, times, side="right") - 1, 0)
        counted = sorted(Counter(zip(at.tolist(), self._kinds, strict=True)).items())
        return Marks(
            [candle for (candle, _), _ in counted],
            [kind for (_, kind), _ in counted],
            [n for _, n in counted],
        )


def markers_of(fills: Iterable[ResultFill]) -> dict[str, Marker]:
    """Return what followed the fills of each symbol that was traded."""
    markers: dict[str, Marker] = {}
    for fill in fills:
        marker = markers.get(fill.symbol)
        if marker is None:
            marker = markers[fill.symbol] = Marker()
        marker.add(fill)
    return markers


def trip_table(result: BacktestResult, n_max: int = TRIPS_MAX, bytes_max: int = TRIP_BYTES_MAX) -> TripTable:
    """Return as many round trips as the page has room for: the first, the last, the biggest winners and losers."""
    trips = result.round_trips
    pnls = [Decimal(trip.pnl) for trip in trips]
    while True:
        index = _chosen(len(trips), pnls, n_max)
        columns = _columns(result, index)
        if len(msgspec.json.encode(columns)) <= bytes_max or n_max <= 4:
            break
        n_max //= 2
    if len(index) == len(trips):
        return TripTable(index, columns, "")
    part = f"{n_max // 4:,}"
    return TripTable(
        index,
        columns,
        f"Of {len(trips):,} round trips the table holds {len(index):,}: the first {part}, the last {part}, the {part} "
        f"biggest winners and the {part} biggest losers. All of them are in summary.json.",
    )


def biggest(trips: Sequence[ResultTrip], n: int) -> tuple[list[int], list[int]]:
    """Return the indices of the `n` biggest winners and of the `n` biggest losers, the biggest first."""
    return _biggest([Decimal(trip.pnl) for trip in trips], n)


def _biggest(pnl: Sequence[Decimal], n: int) -> tuple[list[int], list[int]]:
    winners = heapq.nlargest(n, (i for i, value in enumerate(pnl) if value > 0), key=lambda i: (pnl[i], -i))
    losers = heapq.nsmallest(n, (i for i, value in enumerate(pnl) if value < 0), key=lambda i: (pnl[i], i))
    return winners, losers


def _chosen(n_trips: int, pnls: Sequence[Decimal], n_max: int) -> list[int]:
    if n_trips <= n_max:
        return list(range(n_trips))
    part = n_max // 4
    winners, losers = _biggest(pnls, part)
    return sorted({*range(part), *range(n_trips - part, n_trips), *winners, *losers})


def _columns(result: BacktestResult, index: Sequence[int]) -> dict[str, list[Any]]:
    trips = [result.round_trips[i] for i in index]
    start_ns = result.start_ns
    return {
        **who_and_what(result, [(trip.strategy_id, trip.symbol) for trip in trips]),
        "no": [i + 1 for i in index],
        "side": [1 if trip.side == Side.BUY else -1 for trip in trips],
        "open": [(trip.ts_open_ns - start_ns) // NS_PER_S for trip in trips],
        "close": [(trip.ts_close_ns - start_ns) // NS_PER_S for trip in trips],
        "qty": [trip.qty for trip in trips],
        "entry": [trip.entry_price for trip in trips],
        "exit": [trip.exit_price for trip in trips],
        "fees": [trip.fees for trip in trips],
        "pnl": [trip.pnl for trip in trips],
        "return": [_short(trip.return_fraction) for trip in trips],
    }


def who_and_what(result: BacktestResult, pairs: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
    """Return the columns that tell strategies and symbols apart, each only where there are several."""
    columns: dict[str, list[Any]] = {}
    if len(result.strategies) > 1:
        columns["strategy"] = [strategy for strategy, _ in pairs]
    if len(result.instruments) > 1:
        columns["symbol"] = [symbol for _, symbol in pairs]
    return columns


def _short(fraction: float | None) -> float | None:
    return None if fraction is None else round(fraction, 8)
