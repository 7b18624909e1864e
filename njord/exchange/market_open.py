"""Which recorded data does an exchange replay? Files and datasets in; one market on the exchange's clock out.

A raw capture, stored trades (with a stored book, if there is one) and bars, from a file or stored, each its way; those of
one symbol make one instrument.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import msgspec

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.exchange.bars_market import BarsOf, bars_bounds, bars_tape
from njord.exchange.market import PublicMarket
from njord.exchange.market_pace import Pace
from njord.exchange.recorded_market import Recorded, recorded_bounds, recorded_tape
from njord.storage.bars_options import BarOptions
from njord.storage.data_in import open_data
from njord.storage.dataset import BarDataset
from njord.storage.ingest.capture import Capture, CaptureOptions, looks_like_capture, open_capture
from njord.storage.store.kinds import DataKind
from njord.storage.store.stored import StoredDataset

_SNIFFED_BYTES = 2**16
Source = Recorded | BarsOf


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What is replayed, and how.

    Attributes:
        data: Raw captures, files of bars, folders of datasets.
        options: What the user said about files.
        speed: How many recorded seconds pass in one of the exchange's.
        repeats: Whether all begins again after its end.
    """

    data: tuple[Path, ...]
    options: BarOptions = BarOptions()
    speed: Fraction = Fraction(1)
    repeats: bool = False


class Replayed(msgspec.Struct, frozen=True):
    """A market, and what was assumed to make it, in sentences."""

    market: PublicMarket
    assumptions: tuple[str, ...]


@contextmanager
def open_replay(replay: Replay, instruments: Mapping[str, Instrument], begin_ns: int) -> Iterator[Replayed]:
    """Open recorded data as a market that begins at a time; the data are closed behind it.

    Args:
        replay: What is asked for.
        instruments: Configured instruments by symbol, for files.
        begin_ns: By the exchange's clock.

    Raises:
        UserError: The data can not be used, or not together.
    """
    with ExitStack() as opened:
        found = _Found()
        for path in replay.data:
            _open(path, replay.options, instruments, found, opened)
        sources = found.sources()
        spans = [
            bars_bounds(source) if isinstance(source, BarsOf) else recorded_bounds(source)
            for source in sources
        ]
        pace = Pace(
            begin_ns=begin_ns,
            first_ns=min(first for first, _ in spans),
            last_ns=max(last for _, last in spans),
            speed=replay.speed,
            repeats=replay.repeats,
        )
        tapes = [
            bars_tape(source, pace) if isinstance(source, BarsOf) else recorded_tape(source, pace)
            for source in sources
        ]
        market = PublicMarket([source.instrument for source in sources], tapes, begin_ns)
        yield Replayed(market, tuple(found.assumptions))


class _Found:
    """The opened data by symbol."""

    def __init__(self) -> None:
        self._whole: dict[str, Source] = {}
        self._stored: dict[str, dict[DataKind, StoredDataset]] = {}
        self.assumptions: list[str] = []

    def add(self, symbol: str, source: Source) -> None:
        """Take the whole market of a symbol."""
        self._refuse_second(symbol, symbol in self._whole or symbol in self._stored)
        self._whole[symbol] = source

    def add_stored(self, dataset: StoredDataset) -> None:
        """Take trades or a book."""
        symbol, kind = dataset.instrument.symbol, dataset.key.kind
        kinds = self._stored.setdefault(symbol, {})
        self._refuse_second(symbol, symbol in self._whole or kind in kinds)
        kinds[kind] = dataset

    def sources(self) -> list[Source]:
        """Return what each symbol is made of.

        Raises:
            DataError: There is a book without trades.
        """
        made = dict(self._whole)
        for symbol, kinds in self._stored.items():
            trades, book = kinds.get(DataKind.TRADES), kinds.get(DataKind.BOOK)
            if trades is None:
                raise DataError(
                    f"a book without trades is given for {symbol}, which tells nobody who traded",
                    f"add --data trades/{kinds[DataKind.BOOK].path.partition('/')[2]}",
                )
            if book is not None and _grid(trades.instrument) != _grid(book.instrument):
                raise DataError(
                    f"trades and book of {symbol} lie on different grids",
                    "import both with the same --tick and --lot",
                )
            made[symbol] = Recorded(trades.instrument, trades.chunks, None if book is None else book.chunks)
        return list(made.values())

    def _refuse_second(self, symbol: str, is_second: bool) -> None:
        if is_second:
            raise DataError(
                f"two sets of data are given for {symbol}", "give bars, a capture, or trades and a book"
            )


def _open(
    path: Path,
    options: BarOptions,
    instruments: Mapping[str, Instrument],
    found: _Found,
    opened: ExitStack,
) -> None:
    if path.is_file() and _is_capture(path):
        capture = opened.enter_context(open_capture([path], _of_capture(options), instruments))
        found.assumptions += capture.assumptions
        for symbol in capture.symbols:
            found.add(symbol, _recorded(capture, symbol))
        return
    dataset = open_data(path, options, instruments)
    opened.callback(dataset.close)
    if isinstance(dataset, StoredDataset):
        found.assumptions += dataset.manifest.assumptions
        found.add_stored(dataset)
        return
    found.assumptions += dataset.assumptions
    found.add(dataset.instrument.symbol, _bars(dataset))


def _is_capture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return looks_like_capture(file.read(_SNIFFED_BYTES))
    except OSError:
        return False  # Whoever opens it in earnest says why.


def _of_capture(options: BarOptions) -> CaptureOptions:
    return CaptureOptions(
        symbol=options.symbol, tick=options.tick, lot=options.lot, min_notional=options.min_notional
    )


def _recorded(capture: Capture, symbol: str) -> Recorded:
    has_book = capture.n_rows(symbol, DataKind.BOOK) > 0
    return Recorded(
        capture.instrument(symbol),
        partial(capture.rows, symbol, DataKind.TRADES),
        partial(capture.rows, symbol, DataKind.BOOK) if has_book else None,
    )


def _bars(dataset: BarDataset) -> BarsOf:
    return BarsOf(dataset.instrument, dataset.interval_ns, dataset.chunks)


def _grid(instrument: Instrument) -> tuple[object, object]:
    return instrument.tick_size, instrument.lot_size
