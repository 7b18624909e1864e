"""What trades, books and quotes does a raw capture hold? Files in; per symbol an instrument and stored columns out.

Everything is read once and waits, in units of 1e-8, on an anonymous file; then the instrument of each symbol is known
and its rows come out in whole ticks and lots. What was assumed is said.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.kernels.capture_steps import whole_steps
from njord.storage.bars_options import BarOptions
from njord.storage.bars_symbol import choose_instrument, parse_symbol, symbol_of_name
from njord.storage.bars_text import one_line, show_time
from njord.storage.ingest.capture_lines import DECIMALS, LineKind
from njord.storage.ingest.capture_reader import CaptureReader
from njord.storage.ingest.capture_stage import BlockStage
from njord.storage.ingest.capture_symbols import PRICES, QUANTITIES, Grid, Recorded, Staged
from njord.storage.store.kinds import COLUMNS, Columns, DataKind, IntArray

CAPTURE_KINDS = (DataKind.TRADES, DataKind.BOOK, DataKind.QUOTES)
_GZIP, _LZ4 = b"\x1f\x8b", b"\x04\x22\x4d\x18"
_SNIFFED_BYTES = 2**12
_LINE_BEGINS = re.compile(rb"[0-9]{1,25}[ \t]+[{\[]")
_VENUE_SYMBOL = re.compile(r"[A-Z0-9]+")
_UNIT = Decimal(1).scaleb(-DECIMALS)


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a capture; what is left out is inferred and said under assumptions.

    Attributes:
        symbol: CCXT unified, such as ETH/USDT; of a capture of several symbols only this one is taken.
        venue: Where the instruments trade.
        tick: Smallest step of a price, in quote per base.
        lot: Smallest step of a quantity, in base.
        min_notional: Smallest order value, in quote.
    """

    symbol: str | None = None
    venue: str = "binance"
    tick: Decimal | None = None
    lot: Decimal | None = None
    min_notional: Decimal | None = None


def looks_like_capture(first_bytes: bytes) -> bool:
    """Return whether a file that begins so, compressed or not, is a raw capture: `<receive ns> <JSON>`."""
    start = first_bytes
    try:
        if first_bytes.startswith(_GZIP):
            start = zlib.decompressobj(31).decompress(first_bytes, _SNIFFED_BYTES)
        elif first_bytes.startswith(_LZ4):
            import lz4.frame

            start = lz4.frame.LZ4FrameDecompressor().decompress(first_bytes, _SNIFFED_BYTES)
    except (zlib.error, RuntimeError):
        return False
    return _LINE_BEGINS.match(start) is not None


def open_capture(
    paths: Sequence[Path],
    options: CaptureOptions | None = None,
    instruments: Mapping[str, Instrument] | None = None,
) -> "Capture":
    """Read the files of one capture completely; the caller closes what comes back.

    Args:
        paths: Plain, gzipped or in lz4 frames, in the order of recording.
        options: What the user said.
        instruments: Configured instruments by symbol.

    Raises:
        DataError: A file is missing or damaged, a line can not be read, a symbol or the owner of a snapshot can not
            be told, or prices do not lie on the given tick. Nothing stays on disk.
    """
    options = options or CaptureOptions()
    with ExitStack() as unless_done:
        stage = BlockStage()
        unless_done.callback(stage.close)
        capture = Capture(CaptureReader(paths), stage, options, instruments or {})
        unless_done.pop_all()
    return capture


class Capture:
    """What a capture holds, by symbol; a context manager, whose `close` removes the staging.

    Attributes:
        symbols: CCXT unified, in the order of appearance.
        facts: What was read, over all symbols.
        assumptions: What was inferred or left out, in words.
    """

    def __init__(
        self,
        reader: CaptureReader,
        stage: BlockStage,
        options: CaptureOptions,
        instruments: Mapping[str, Instrument],
    ) -> None:
        self._stage = stage
        asked = parse_symbol(options.symbol) if options.symbol is not None else None
        staged = Staged(stage, None if asked is None else _venue_symbol(asked))
        staged.take(reader)
        self.facts = reader.facts
        _refuse_nothing(staged, reader, asked)
        self._recorded: dict[str, Recorded] = {}
        self._instruments: dict[str, Instrument] = {}
        said = _left_out(staged, reader, asked)
        for recorded in staged.recorded.values():
            symbol = asked or _unified(recorded.symbol)
            if symbol in self._recorded:
                raise DataError(
                    f"{self._recorded[symbol].symbol} and {recorded.symbol} are both {symbol}",
                    "take one of them, with --symbol",
                )
            self._recorded[symbol] = recorded
            self._instruments[symbol], about = _instrument(symbol, recorded, options, instruments)
            said += about
        self.symbols = tuple(self._recorded)
        self.assumptions = tuple(said)
        for symbol in self.symbols:
            self._check_grid(symbol)

    def instrument(self, symbol: str) -> Instrument:
        """Return what `symbol` trades like."""
        return self._instruments[symbol]

    def n_rows(self, symbol: str, kind: DataKind) -> int:
        """Return how many rows of a kind there are."""
        recorded = self._recorded[symbol]
        n_snapshot = recorded.n_rows(LineKind.SNAPSHOT) if kind is DataKind.BOOK else 0
        return recorded.n_rows(recorded.line_of(kind)) + n_snapshot

    def rows(self, symbol: str, kind: DataKind) -> Iterator[Columns]:
        """Yield the rows of one kind in the order of receipt, in whole ticks and lots, a block at a time."""
        steps = _Steps(self._instruments[symbol])
        for block in self._recorded[symbol].blocks(kind):
            yield steps.apply(dict(zip(COLUMNS[kind], block, strict=True)))

    def close(self) -> None:
        """Remove the staged rows; facts and instruments stay readable."""
        self._stage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What was inferred fits by construction; a given tick or lot is tried on every row where it is not plain.
    def _check_grid(self, symbol: str) -> None:
        if not _Steps(self._instruments[symbol]).fit(self._recorded[symbol].grid):
            for kind in CAPTURE_KINDS:
                for _ in self.rows(symbol, kind):
                    pass


class _Steps:
    """Turns amounts in units of 1e-8 into ticks and lots of one instrument."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._price = _step(instrument.tick_scale, instrument.tick_multiple)
        self._qty = _step(instrument.lot_scale, instrument.lot_multiple)

    def fit(self, grid: Grid) -> bool:
        """Return whether all amounts on `grid` are whole steps for sure."""
        both = ((self._price, grid.price_zeros), (self._qty, grid.qty_zeros))
        return all(multiple == 1 and 10**zeros % step == 0 for (step, multiple), zeros in both)

    def apply(self, columns: Columns) -> Columns:
        """Return `columns` in ticks and lots.

        Raises:
            DataError: A price or quantity is no whole number of them.
        """
        done = dict(columns)
        for names, (step, multiple), what in ((PRICES, self._price, "tick"), (QUANTITIES, self._qty, "lot")):
            for name in names:
                if name in done and (step, multiple) != (1, 1):
                    done[name] = self._whole(done, name, step, multiple, what)
        return done

    def _whole(self, columns: Columns, name: str, step: int, multiple: int, what: str) -> IntArray:
        amounts = columns[name]
        out = np.empty(len(amounts), dtype=np.int64)
        row = int(whole_steps(amounts, step, multiple, out))
        if row == len(amounts):
            return out
        size = self._instrument.tick_size if what == "tick" else self._instrument.lot_size
        amount = plain(_UNIT * int(amounts[row]))
        raise DataError(
            f"{name.partition('_')[0]} {amount} of {self._instrument.symbol} at {show_time(int(columns['ts_ns'][row]))}"
            f" is not a whole number of {what}s of {plain(size)} within int64",
            f"leave --{what} out to have it inferred",
        )


# A tick or lot of multiple x 10**-scale in units of 1e-8, as amount x multiple / step.
def _step(scale: int, multiple: int) -> tuple[int, int]:
    return multiple * 10 ** max(0, DECIMALS - scale), 10 ** max(0, scale - DECIMALS)


def _venue_symbol(symbol: str) -> str:
    return symbol.partition(":")[0].replace("/", "")


def _unified(venue_symbol: str) -> str:
    symbol, _ = symbol_of_name(venue_symbol) if _VENUE_SYMBOL.fullmatch(venue_symbol) else (None, "")
    if symbol is None:
        raise DataError(
            f"the capture holds {one_line(venue_symbol)}, whose quote asset is not known",
            "take one symbol with --symbol BASE/QUOTE",
        )
    return symbol


def _refuse_nothing(staged: Staged, reader: CaptureReader, asked: str | None) -> None:
    if staged.recorded:
        return
    if asked is not None and reader.symbols:
        listed = ", ".join(reader.symbols[:10])
        raise DataError(f"the capture holds no {asked}, it holds {listed}", "name one of these like ETH/USDT")
    raise DataError(
        f"the capture holds no trades, books or quotes in {reader.facts.n_lines} lines",
        "record @trade, @depth@100ms or @bookTicker",
    )


def _left_out(staged: Staged, reader: CaptureReader, asked: str | None) -> list[str]:
    said = [f"{each.n} lines of {each.name} are left out: {each.reason}." for each in reader.facts.skipped]
    if staged.n_ownerless:
        said.append(f"{staged.n_ownerless} snapshots are left out: no symbol's book is there to change them.")
    if asked is not None and len(reader.symbols) > 1:
        said.append(f"{len(reader.symbols) - 1} other symbols are left out, as --symbol asks.")
    return said


def _instrument(
    symbol: str, recorded: Recorded, options: CaptureOptions, instruments: Mapping[str, Instrument]
) -> tuple[Instrument, list[str]]:
    said = []
    lot = options.lot
    if lot is None and symbol not in instruments:
        lot = _UNIT.scaleb(recorded.grid.qty_zeros)
        said.append(f"Lot {plain(lot)} of {symbol} is inferred from the quantities (change with --lot).")
    flags = BarOptions(
        symbol=symbol, venue=options.venue, tick=options.tick, lot=lot, min_notional=options.min_notional
    )
    instrument, about = choose_instrument(
        flags, symbol, instruments, lambda: _UNIT.scaleb(recorded.grid.price_zeros)
    )
    if recorded.n_rows(LineKind.AGG_TRADE):
        there = recorded.n_rows(LineKind.TRADE)
        about.append(
            f"{'Single trades' if there else 'Aggregate trades'} of {symbol} are taken"
            + (
                f", its {recorded.n_rows(LineKind.AGG_TRADE)} aggregate trades left out: they are the same again."
                if there
                else ": what one order filled at one price counts as one."
            )
        )
    return instrument, said + about
