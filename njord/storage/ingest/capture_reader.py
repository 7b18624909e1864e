"""What did a raw capture record? Its files in, as one stream; blocks of exact rows out, in order.

Usual lines go through the compiled parser, every other line through `capture_lines`; both give the same. A line that
breaks off at the end of a file is counted and left out. Whatever else can not be read is one `DataError` that names
file and line. Received times never run backwards: where the clock was set back by less than a minute, rows carry the
latest time before, and are counted.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from njord.core.errors import DataError
from njord.core.units import NS_PER_MINUTE
from njord.kernels.capture import (
    BOOK_ROWS,
    LAST_NS,
    LINES_AGG_TRADE,
    LINES_DEPTH,
    LINES_QUOTE,
    LINES_TRADE,
    N_TRADES,
    POSITION,
    QUOTE_ROWS,
    STATE_SIZE,
    TRADE_ROWS,
    parse_lines,
)
from njord.kernels.capture_text import NO_SYMBOL, SYMBOL_BYTES_MAX, symbol_slot
from njord.storage.bars_text import one_line, show_interval
from njord.storage.certificate.facts import FactCollector, SourceFacts
from njord.storage.ingest.capture_files import (
    LINE_BYTES_MAX,
    CaptureFiles,
    Fault,
    FileBegins,
    Lines,
    LooseEnd,
)
from njord.storage.ingest.capture_lines import Line, LineKind, read_line
from njord.storage.store.kinds import COLUMNS, Columns, DataKind, IntArray

BLOCK_BYTES = 2**20
SYMBOLS_MAX = 512
_SLOTS = 4 * SYMBOLS_MAX
_NAMES_MAX = 100  # Of kinds that are skipped; the rest is counted under one name.
_STEP_BACK_MAX_NS = (
    NS_PER_MINUTE  # Clocks are corrected by less; more is another capture, or a broken number.
)
_COUNTED = ((LINES_TRADE, "trade"), (LINES_AGG_TRADE, "aggTrade"), (LINES_DEPTH, "depthUpdate"), (LINES_QUOTE, "bookTicker"))  # fmt: skip
# By LineKind: the kinds that have a table, and which rows it has.
_TABLES = (TRADE_ROWS, TRADE_ROWS, BOOK_ROWS, QUOTE_ROWS)
DATA_KINDS = {
    LineKind.TRADE: DataKind.TRADES,
    LineKind.AGG_TRADE: DataKind.TRADES,
    LineKind.DEPTH: DataKind.BOOK,
    LineKind.QUOTE: DataKind.QUOTES,
    LineKind.SNAPSHOT: DataKind.BOOK,
}
_ROW_BYTES_MIN = 9  # ["1","0"] is the shortest text that makes a row.
_LOOSE_ROWS_MAX = 64


class CaptureBlock(msgspec.Struct, frozen=True):
    """Successive rows of one kind of line and one symbol.

    Attributes:
        symbol: As the venue writes it; "" for a snapshot of a book, which names none.
        line: The kind of line that they come from.
        columns: As store/kinds.py has them for DATA_KINDS[line], prices and quantities in units of 1e-8.
    """

    symbol: str
    line: LineKind
    columns: Columns


class Skipped(msgspec.Struct, frozen=True):
    """Lines that hold nothing that is stored: what they are called, why they are left out, how many."""

    name: str
    reason: str
    n: int


class CaptureFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read.

    Attributes:
        n_lines: Lines, torn ones not counted.
        n_bytes: Decompressed.
        n_unusual: Lines that the compiled parser left to the strict reading.
        lines: Lines of each kind that is stored, by the venue's name for it.
        skipped: What was left out.
        n_torn: Lines that break off at the end of a file.
        n_backwards: Lines received, by the local clock, before one ahead of them; their rows carry that one's time.
        largest_step_back_ns: By how much at most.
        first_ns: When the first line was received; 0 without lines.
        last_ns: The latest time of receipt.
        source: The same for the certificate, with places; a row is a line's number within its file.
    """

    n_lines: int
    n_bytes: int
    n_unusual: int
    lines: dict[str, int]
    skipped: tuple[Skipped, ...]
    n_torn: int
    n_backwards: int
    largest_step_back_ns: int
    first_ns: int
    last_ns: int
    source: SourceFacts


class CaptureReader:
    """Reads the files of one capture: iterate over it once; `facts` and `symbols` tell of what was read so far.

    Args:
        paths: At least one file, in the order of recording.
        block_bytes: How much text is parsed at a time.

    Raises:
        DataError: No path is given; while iterating, a file can not be opened or a line can not be read.
    """

    def __init__(self, paths: Sequence[Path], *, block_bytes: int = BLOCK_BYTES) -> None:
        if not paths:
            raise DataError("no file of a capture is given", "name at least one")
        self._files = CaptureFiles(paths, block_bytes)
        self._state = np.zeros(STATE_SIZE, dtype=np.int64)
        self._keys = np.zeros((2, _SLOTS), dtype=np.uint64)
        self._values = np.full(_SLOTS, NO_SYMBOL, dtype=np.int64)
        self._indices: dict[str, int] = {}
        self._names: list[str] = []
        self._tables: list[IntArray] = []
        self._room_bytes = 0
        self._strict_lines: dict[str, int] = {}
        self._skipped: dict[tuple[str, str], int] = {}
        self._noted = FactCollector()
        self._n_unusual = self._n_torn = self._n_backwards = self._largest_step_back_ns = self._first_ns = 0
        self._make_room(block_bytes)
        self._where = ""
        self._n_lines_before = 0  # Before the file that is read now.

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols seen so far, as the venue writes them."""
        return tuple(self._names)

    @property
    def facts(self) -> CaptureFacts:
        """What was read so far."""
        lines = dict(self._strict_lines)
        for at, name in _COUNTED:
            lines[name] = lines.get(name, 0) + int(self._state[at])
        return CaptureFacts(
            n_lines=self._n_lines,
            n_bytes=self._files.n_bytes,
            n_unusual=self._n_unusual,
            lines={name: n for name, n in lines.items() if n},
            skipped=tuple(Skipped(name, reason, n) for (name, reason), n in self._skipped.items()),
            n_torn=self._n_torn,
            n_backwards=self._n_backwards,
            largest_step_back_ns=self._largest_step_back_ns,
            first_ns=self._first_ns,
            last_ns=int(self._state[LAST_NS]),
            source=self._noted.facts(),
        )

    @property
    def _n_lines(self) -> int:
        return sum(int(self._state[at]) for at, _ in _COUNTED) + self._n_unusual

    def __iter__(self) -> Iterator[CaptureBlock]:
        for piece in self._files.pieces():
            match piece:
                case FileBegins():
                    self._where = piece.where
                    self._n_lines_before = self._n_lines
                case Lines():
                    yield from self._parse(piece)
                case LooseEnd(line, Fault.NONE):
                    yield from self._strict(line)
                case LooseEnd(line, Fault.TORN):
                    self._n_torn += 1
                    self._note("torn_lines", int(self._state[LAST_NS]), f"{len(line)} bytes of a line")
                case LooseEnd():
                    raise self._refused(f"is longer than {LINE_BYTES_MAX // 2**20} MiB")
            yield from self._flush()

    def _parse(self, lines: Lines) -> Iterator[CaptureBlock]:
        self._make_room(len(lines.data))
        state = self._state
        state[POSITION] = 0
        while not parse_lines(
            lines.data, lines.words, lines.end, state, self._keys, self._values, *self._tables
        ):
            begin = int(state[POSITION])
            newline = lines.text.index(b"\n", begin)
            yield from self._strict(bytes(lines.text[begin:newline]))
            state[POSITION] = newline + 1

    # One line that the compiled parser did not take, without its newline.
    def _strict(self, text: bytes) -> Iterator[CaptureBlock]:
        try:
            line = read_line(text)
        except ValueError as error:
            raise self._refused(str(error)) from None
        ts_ns = self._in_time(line.ts_ns)
        self._n_unusual += 1
        if line.kind is LineKind.SKIPPED:
            self._skip(line, ts_ns)
            return
        self._strict_lines[line.name] = self._strict_lines.get(line.name, 0) + 1
        if line.kind is not LineKind.SNAPSHOT and len(line.rows) <= _LOOSE_ROWS_MAX:
            table, at = self._tables[line.kind], N_TRADES + line.kind
            first, end = int(self._state[at]), int(self._state[at]) + len(line.rows)
            table[0, first:end] = self._index(line.symbol)
            table[1, first:end] = ts_ns
            table[2:, first:end] = np.array(line.rows, dtype=np.int64).T
            self._state[at] = end
            return
        yield from self._flush()
        if line.kind is not LineKind.SNAPSHOT:
            self._index(line.symbol)
        rows = np.array([(ts_ns, *row) for row in line.rows], dtype=np.int64).T
        yield _block(line.symbol, line.kind, np.ascontiguousarray(rows))

    # A line's time of receipt, never before the one ahead of it.
    def _in_time(self, ts_ns: int) -> int:
        last_ns = int(self._state[LAST_NS])
        if ts_ns < last_ns:
            back_ns = last_ns - ts_ns
            if back_ns > _STEP_BACK_MAX_NS:
                raise self._refused(
                    f"was received {show_interval(back_ns)} before the line ahead of it",
                    "give the files of one recorder, in the order of recording",
                )
            self._n_backwards += 1
            self._largest_step_back_ns = max(self._largest_step_back_ns, back_ns)
            self._note("out_of_order", ts_ns, f"{back_ns} ns before the line ahead of it", 1)
            return last_ns
        self._state[LAST_NS] = ts_ns
        self._first_ns = self._first_ns or ts_ns
        return ts_ns

    def _skip(self, line: Line, ts_ns: int) -> None:
        key = (line.name, line.reason)
        if key not in self._skipped and len(self._skipped) >= _NAMES_MAX:
            key = ("others", line.reason)
        self._skipped[key] = self._skipped.get(key, 0) + 1
        self._note("skipped", ts_ns, f"{line.name}: {line.reason}")

    def _index(self, symbol: str) -> int:
        index = self._indices.get(symbol)
        if index is not None:
            return index
        if len(self._names) >= SYMBOLS_MAX:
            raise self._refused(
                f"holds symbol number {SYMBOLS_MAX + 1}, {SYMBOLS_MAX} can be read at once",
                "split the capture by symbol",
            )
        index = self._indices[symbol] = len(self._names)
        self._names.append(symbol)
        text = symbol.encode()
        if len(text) <= SYMBOL_BYTES_MAX:
            first, second = np.frombuffer(text.ljust(16, b"\0"), np.uint64)
            slot = symbol_slot(self._keys, self._values, first, second)
            self._keys[:, slot] = first, second
            self._values[slot] = index
        return index

    def _make_room(self, n_bytes: int) -> None:
        if n_bytes > self._room_bytes:
            self._room_bytes = n_bytes
            room = n_bytes // _ROW_BYTES_MIN + _LOOSE_ROWS_MAX
            self._tables = [np.empty((n_rows, room), dtype=np.int64) for n_rows in _TABLES]

    # Hands out the rows that the tables hold, and empties them.
    def _flush(self) -> Iterator[CaptureBlock]:
        for number, table in enumerate(self._tables):
            n = int(self._state[N_TRADES + number])
            if not n:
                continue
            self._state[N_TRADES + number] = 0
            rows = table[:, :n]
            if rows[0, 0] == rows[0, -1] and (rows[0] == rows[0, 0]).all():
                yield _block(self._names[rows[0, 0]], LineKind(number), rows[1:].copy())
                continue
            rows = rows[:, np.argsort(rows[0], kind="stable")]
            starts = np.flatnonzero(np.diff(rows[0], prepend=-1))
            for first, end in zip(starts, [*starts[1:], n], strict=True):
                yield _block(self._names[rows[0, first]], LineKind(number), rows[1:, first:end].copy())

    def _note(self, fact: str, ts_ns: int, detail: str, ahead: int = 0) -> None:
        row = self._n_lines - self._n_lines_before + ahead
        self._noted.note_one(fact, ts_ns, row, f"{self._where} line {row}: {detail}")

    def _refused(self, problem: str, remedy: str = "correct or remove the line") -> DataError:
        row = self._n_lines - self._n_lines_before + 1
        return DataError(f"{self._where} line {row} {one_line(problem, 300)}", remedy)


def _block(symbol: str, line: LineKind, rows: IntArray) -> CaptureBlock:
    return CaptureBlock(symbol, line, dict(zip(COLUMNS[DATA_KINDS[line]], rows, strict=True)))
