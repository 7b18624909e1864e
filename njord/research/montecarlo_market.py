"""A market of the same bars in another order: blocks of rows drawn again, the same rows of all symbols at once.

What a row says is how its prices moved from the close before it, and its volume; paths of these moves begin at the recorded
first bar and keep the recorded times. Symbols that moved together in a row still do, because a row is taken of all of
them or of none. Prices are whole ticks again, at least 1, rounded from a level that is not.
"""

from collections.abc import Sequence

import numpy as np

from njord.backtest.market_bars import BarFeed
from njord.backtest.market_open import RecordedMarket
from njord.backtest.noise import TICKS_MAX
from njord.backtest.points_market import ArrayRows
from njord.core.errors import ConfigError
from njord.kernels.bootstrap import EVERY_STEP, block_rows
from njord.performance.returns import FloatArray, IntArray
from njord.storage.dataset import BarDataset
from njord.strategies.features import BarColumns

_PRICE_MAX = TICKS_MAX // 4


class DrawnMarkets:
    """Markets of drawn bars, as many as paths are asked for.

    Args:
        market: The recorded market, open; it may be closed afterwards.

    Raises:
        ConfigError: It is of ticks, its symbols do not have the same bars, or these are too few.
    """

    def __init__(self, market: RecordedMarket) -> None:
        self._sources = market.sources
        self._columns = [columns_of(market, index) for index in range(len(market.instruments))]
        times = [columns.ts_ns for columns in self._columns]
        if any(not np.array_equal(times[0], other) for other in times[1:]):
            raise ConfigError(
                "bars are drawn for all symbols at once, and these do not have the same times",
                "fill their gaps, or run the symbols apart",
            )
        self._n_rows = times[0].size
        if self._n_rows < 3:
            raise ConfigError(f"there are {self._n_rows} bars, none can be drawn", "use more data")

    @property
    def returns(self) -> list[FloatArray]:
        """Of each symbol the move of each bar from the close before, as a fraction."""
        return [np.diff(columns.close) / columns.close[:-1] for columns in self._columns]

    def market(self, seed: int, path: int, block: float) -> RecordedMarket:
        """Return the market of a path.

        Args:
            seed: Of all paths.
            path: Its number.
            block: Mean length of the blocks, in bars.
        """
        rows = np.empty(self._n_rows - 1, dtype=np.int64)
        restart = max(1, round(EVERY_STEP / block))
        block_rows(np.uint64(seed), np.uint64(path), np.uint64(rows.size), np.uint64(restart), rows)
        return self._opened([drawn(columns, rows) for columns in self._columns])

    def recorded(self) -> RecordedMarket:
        """Return the market as it was, in memory."""
        return self._opened(self._columns)

    def _opened(self, columns: Sequence[BarColumns]) -> RecordedMarket:
        feeds = []
        for index, (each, source) in enumerate(zip(columns, self._sources, strict=True)):
            dataset = BarDataset(
                name=source.name,
                instrument=each.instrument,
                interval_ns=source.interval_ns,
                stage=ArrayRows(each),
                digest=source.hash,
                certificate=source.certificate,
                assumptions=source.assumptions,
            )
            feeds.append(BarFeed(dataset, index, (0, len(each)), len(columns)))
        return RecordedMarket(feeds)


def columns_of(market: RecordedMarket, instrument: int) -> BarColumns:
    """Return the bars of an instrument.

    Raises:
        ConfigError: It is traded on ticks.
    """
    columns = market.columns(instrument)
    if columns is None:
        symbol = market.instruments[instrument].symbol
        raise ConfigError(
            f"{symbol} was run on ticks, whose order can not be drawn", "run it on bars: njord data resample"
        )
    return columns


def drawn(columns: BarColumns, rows: IntArray) -> BarColumns:
    """Return the bars that begin with the first one and then move as `rows` of the others did.

    Args:
        columns: What was recorded, n bars.
        rows: Shape (n - 1,): 0 is the second bar.
    """
    before = columns.close[:-1].astype(np.float64)

    def moves(prices: IntArray) -> FloatArray:
        taken: FloatArray = (prices[1:] / before)[rows]
        return taken

    level = np.concatenate(([float(columns.close[0])], columns.close[0] * np.cumprod(moves(columns.close))))
    level = np.clip(level, 1.0, float(_PRICE_MAX))

    def priced(prices: IntArray) -> IntArray:
        ticks = np.clip(np.rint(level[:-1] * moves(prices)), 1, _PRICE_MAX).astype(np.int64)
        return np.concatenate((prices[:1], ticks))

    open_, high, low = priced(columns.open), priced(columns.high), priced(columns.low)
    close = np.rint(level).astype(np.int64)
    return BarColumns(
        instrument=columns.instrument,
        ts_open_ns=columns.ts_open_ns,
        ts_ns=columns.ts_ns,
        open=open_,
        high=np.maximum(high, np.maximum(open_, close)),
        low=np.minimum(low, np.minimum(open_, close)),
        close=close,
        volume_lots=np.concatenate((columns.volume_lots[:1], columns.volume_lots[1:][rows])),
    )
