"""A window of a market: which rows does a point see? Bars are held as columns once and cut by row, ticks are read again.

Bars before the window warm the strategy up; where the data begin later than that, the warm-up takes from the window.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from njord.backtest.market_bars import BarFeed
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.point import Window
from njord.backtest.simulation import has_ticks
from njord.backtest.utc import at
from njord.core.errors import ConfigError, DataError
from njord.core.instrument import Instrument
from njord.storage.dataset import BarDataset
from njord.strategies.features import BarColumns


class ArrayRows:
    """The rows of a dataset in memory."""

    def __init__(self, columns: BarColumns) -> None:
        self._columns = (
            columns.ts_open_ns,
            columns.open,
            columns.high,
            columns.low,
            columns.close,
            columns.volume_lots,
        )
        self.n_rows = len(columns)

    def read(self, column: int, first_row: int, end_row: int) -> NDArray[Any]:
        """Return the rows [first_row, end_row) of one column, as a view."""
        return self._columns[column][first_row:end_row]

    def close(self) -> None:
        """Do nothing: the arrays go with their last user."""


class _HeldFeed(BarFeed):
    """Some rows of bars in memory; its columns are views."""

    def __init__(
        self, bars: BarDataset, held: BarColumns, instrument: int, rows: tuple[int, int], n_datasets: int
    ) -> None:
        super().__init__(bars, instrument, rows, n_datasets)
        self._held = held

    def columns(self) -> BarColumns:
        """Return the rows of the run as one array per column."""
        held, (first, end) = self._held, self.rows
        return BarColumns(
            instrument=held.instrument,
            ts_open_ns=held.ts_open_ns[first:end],
            ts_ns=held.ts_ns[first:end],
            open=held.open[first:end],
            high=held.high[first:end],
            low=held.low[first:end],
            close=held.close[first:end],
            volume_lots=held.volume_lots[first:end],
        )


class PointMarkets:
    """Opens data once, and cuts markets for points from them.

    Args:
        request: The data and the range of all points.
        instruments: Configured instruments by symbol.

    Raises:
        UserError: The data can not be used.
    """

    def __init__(self, request: MarketRequest, instruments: Mapping[str, Instrument]) -> None:
        self._request, self._instruments = request, instruments
        market = open_market(request, instruments)
        self.instruments = market.instruments
        self.n_events, self.start_ns, self.end_ns = market.n_events, market.start_ns, market.end_ns
        self._ticks: dict[Window, RecordedMarket] = {}
        self._bars: list[tuple[BarDataset, BarColumns]] = []
        if has_ticks(market):
            self._ticks[Window()] = market
            return
        with market:
            self._bars = [_in_memory(market, index) for index in range(len(market.instruments))]

    def cut(self, window: Window, warm_up: int) -> RecordedMarket:
        """Return the market of a point whose strategy declares a warm-up of so many bars; it stays ours to close.

        Raises:
            DataError: The window holds nothing.
        """
        if window.start_ns is not None and window.end_ns is not None and window.start_ns >= window.end_ns:
            raise ConfigError(
                f"a window ends at {at(window.end_ns)}, which is not after its start {at(window.start_ns)}",
                "windows are [start, end)",
            )
        if not self._bars:
            return self._tick_window(window)
        feeds = []
        for index, (bars, columns) in enumerate(self._bars):
            ts_ns = columns.ts_ns
            first = 0 if window.start_ns is None else int(np.searchsorted(ts_ns, window.start_ns))
            end = ts_ns.size if window.end_ns is None else int(np.searchsorted(ts_ns, window.end_ns))
            if first >= end:
                raise DataError(
                    f"{bars.name} has no bars in the window from {_bound(window.start_ns)} to {_bound(window.end_ns)}",
                    f"its bars close from {at(int(ts_ns[0]))} to {at(int(ts_ns[-1]))}",
                )
            first = max(0, first - max(0, warm_up - 1))
            feeds.append(_HeldFeed(bars, columns, index, (first, end), len(self._bars)))
        return RecordedMarket(feeds)

    def close(self) -> None:
        """Let go of the data."""
        for market in self._ticks.values():
            market.close()

    # A book is made of its past: the recording knows how to begin in the middle.
    def _tick_window(self, window: Window) -> RecordedMarket:
        if window not in self._ticks:
            start_ns = max((each for each in (self._request.start_ns, window.start_ns) if each), default=None)
            end_ns = min((each for each in (self._request.end_ns, window.end_ns) if each), default=None)
            request = MarketRequest(
                data=self._request.data, bars=self._request.bars, start_ns=start_ns, end_ns=end_ns
            )
            self._ticks[window] = open_market(request, self._instruments)
        return self._ticks[window]


def _in_memory(market: RecordedMarket, index: int) -> tuple[BarDataset, BarColumns]:
    columns, source = market.columns(index), market.sources[index]
    assert columns is not None
    dataset = BarDataset(
        name=source.name,
        instrument=market.instruments[index],
        interval_ns=source.interval_ns,
        stage=ArrayRows(columns),
        digest=source.hash,
        certificate=source.certificate,
        assumptions=source.assumptions,
    )
    return dataset, columns


def _bound(ts_ns: int | None) -> str:
    return "its beginning" if ts_ns is None else at(ts_ns)
