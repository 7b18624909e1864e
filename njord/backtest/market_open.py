"""Which data make the market of a run? What `--data` names in; one market out, or the one line that says what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from njord.backtest.market import IntArray, MarketBlock, blocks_of
from njord.backtest.market_bars import BarFeed
from njord.backtest.market_ticks import Recording
from njord.backtest.reported import PricePiece, Source
from njord.backtest.utc import at
from njord.core.errors import ConfigError, DataError
from njord.core.instrument import Instrument
from njord.storage.bars_options import BarOptions
from njord.storage.data_in import TICKS, open_data
from njord.storage.dataset import BarDataset
from njord.storage.store.kinds import DataKind
from njord.storage.store.stored import StoredDataset
from njord.strategies.features import BarColumns

if TYPE_CHECKING:
    from njord.venues.tick_market import MarketRows  # Its kernel is loaded where ticks are traded.


class RecordedMarket:
    """The market that recorded data make: bars of some instruments, ticks of others; a context manager.

    Args:
        parts: By instrument: its bars, or its recording.
    """

    def __init__(self, parts: Sequence[BarFeed | Recording]) -> None:
        self._parts = tuple(parts)
        self._feeds = [
            feed for part in parts for feed in (part.feeds if isinstance(part, Recording) else (part,))
        ]
        self.instruments = tuple(
            part.trades.instrument if isinstance(part, Recording) else part.bars.instrument for part in parts
        )
        self.sources: tuple[Source, ...] = tuple(feed.source for feed in self._feeds)
        self.n_events = sum(feed.n_events for feed in self._feeds)
        self.start_ns = min(source.start_ns for source in self.sources)
        self.end_ns = max(source.end_ns for source in self.sources)
        delays = [part.delays_ns for part in parts if isinstance(part, Recording)]
        self.feed_delays_ns: IntArray = np.concatenate(delays) if delays else np.empty(0, dtype=np.int64)

    def has_ticks(self, instrument: int) -> bool:
        """Say whether the instrument is traded on ticks."""
        return isinstance(self._parts[instrument], Recording)

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield everything that the engine is told, from the start."""
        return blocks_of(self._feeds)

    def tick_rows(self, instrument: int) -> "Iterator[MarketRows] | None":
        """Return what happens at the exchange in its own time, from the start; None for bars."""
        part = self._parts[instrument]
        if not isinstance(part, Recording):
            return None
        from njord.backtest.market_rows import market_rows

        return market_rows(part)

    def columns(self, instrument: int) -> BarColumns | None:
        """Return all bars of an instrument as arrays; None for ticks."""
        part = self._parts[instrument]
        return part.columns() if isinstance(part, BarFeed) else None

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield the prices of one instrument in order, in pieces: bars, or the trades where none are."""
        return self._parts[instrument].prices()

    def close(self) -> None:
        """Let go of the data."""
        for part in self._parts:
            part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MarketRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a run's data."""

    data: tuple[Path, ...]
    bars: BarOptions = BarOptions()
    start_ns: int | None = None
    end_ns: int | None = None


def open_market(request: MarketRequest, instruments: Mapping[str, Instrument]) -> RecordedMarket:
    """Open the data of a run; the caller closes the market.

    Args:
        request: Files of bars and datasets of a store; those of one symbol make one instrument.
        instruments: Configured instruments by symbol, for files.

    Raises:
        UserError: The data can not be used, or not together.
    """
    if request.start_ns is not None and request.end_ns is not None and request.start_ns >= request.end_ns:
        raise ConfigError("--start must lie before --end", "ranges are [start, end)")
    if request.bars.symbol is not None and len(request.data) > 1:
        raise ConfigError(
            f"--symbol {request.bars.symbol} names one symbol, --data {len(request.data)} sets of data",
            "leave it out and name the files after their symbols, such as BTC_USDT-1m.csv",
        )
    opened: list[BarDataset | StoredDataset] = []
    try:
        for path in request.data:
            opened.append(open_data(path, request.bars, instruments))
        return RecordedMarket(_parts(opened, request))
    except BaseException:
        for dataset in opened:
            dataset.close()
        raise


def _parts(opened: Sequence[BarDataset | StoredDataset], request: MarketRequest) -> list[BarFeed | Recording]:
    by_symbol: dict[str, dict[DataKind, BarDataset | StoredDataset]] = {}
    for dataset in opened:
        kinds = by_symbol.setdefault(dataset.instrument.symbol, {})
        kind = dataset.key.kind if isinstance(dataset, StoredDataset) else DataKind.BARS
        if kind in kinds:
            raise DataError(
                f"two datasets of {kind.value} are given for {dataset.instrument.symbol}: {_name(kinds[kind])} and "
                f"{_name(dataset)}",
                "give one --data of a kind for each symbol",
            )
        kinds[kind] = dataset
    quotes = sorted({dataset.instrument.quote for dataset in opened})
    if len(quotes) > 1:
        raise DataError(
            f"the data are quoted in {' and '.join(quotes)}, an account has one quote asset",
            "run the symbols of each quote asset apart",
        )
    return [_part(index, symbol, kinds, request) for index, (symbol, kinds) in enumerate(by_symbol.items())]


def _part(
    index: int,
    symbol: str,
    kinds: Mapping[DataKind, BarDataset | StoredDataset],
    request: MarketRequest,
) -> BarFeed | Recording:
    bars, trades, book = (kinds.get(kind) for kind in (DataKind.BARS, *TICKS))
    if isinstance(bars, BarDataset):
        if trades or book:
            raise DataError(
                f"bars and {'trades' if trades else 'a book'} are given for {symbol}, a symbol trades on one of them",
                "leave out one --data",
            )
        return BarFeed(bars, index, _rows(bars, request), len(request.data))
    if not isinstance(trades, StoredDataset):
        raise DataError(
            f"a book without trades is given for {symbol}, which tells nobody who traded",
            f"add --data trades/{_venue_and_name(book)}",
        )
    if isinstance(book, StoredDataset) and not _same_grid(trades.instrument, book.instrument):
        raise DataError(
            f"trades and book of {symbol} lie on different grids: ticks of {trades.instrument.tick_size:f} and "
            f"{book.instrument.tick_size:f}, lots of {trades.instrument.lot_size:f} and {book.instrument.lot_size:f}",
            "import both with the same --tick and --lot",
        )
    return Recording(
        index, trades, book if isinstance(book, StoredDataset) else None, request.start_ns, request.end_ns
    )


def _rows(bars: BarDataset, request: MarketRequest) -> tuple[int, int]:
    rows = bars.rows_between(request.start_ns, request.end_ns)
    if rows[0] >= rows[1]:
        (first,), (last,) = (next(bars.chunks(row, row + 1)).ts_open_ns for row in (0, bars.n_rows - 1))
        raise DataError(
            f"{bars.name} has no bars in the range asked for, they open from {at(int(first))} to {at(int(last))}",
            "check --start and --end",
        )
    return rows


def _same_grid(one: Instrument, other: Instrument) -> bool:
    return (one.tick_size, one.lot_size) == (other.tick_size, other.lot_size)


def _name(dataset: BarDataset | StoredDataset) -> str:
    return dataset.path if isinstance(dataset, StoredDataset) else dataset.name


def _venue_and_name(book: BarDataset | StoredDataset | None) -> str:
    return book.path.partition("/")[2] if isinstance(book, StoredDataset) else ""
