"""Which rows of a capture belong to which symbol, and which grid do they lie on? Blocks in; staged rows by symbol out.

A snapshot names no symbol. It belongs to the book whose update ids it falls among: with one book that is clear, with
several its id must be ten times nearer to one than to any other.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from njord.core.errors import DataError
from njord.kernels.capture_steps import common_zeros
from njord.storage.ingest.capture_lines import DECIMALS, LineKind
from njord.storage.ingest.capture_reader import CaptureBlock
from njord.storage.ingest.capture_stage import BlockStage
from njord.storage.store.kinds import Columns, DataKind, IntArray

PRICES = ("price_ticks", "bid_ticks", "ask_ticks")
QUANTITIES = ("qty_lots", "bid_lots", "ask_lots")
_NEARER = 10
_LINES_OF = {DataKind.BOOK: LineKind.DEPTH, DataKind.QUOTES: LineKind.QUOTE}


class Grid:
    """How many decimal zeros all prices, and all quantities, end in: at most 8 in units of 1e-8, which is 1."""

    def __init__(self) -> None:
        self.price_zeros = self.qty_zeros = DECIMALS

    def add(self, columns: Columns) -> None:
        """Take in the prices and quantities of `columns`."""
        for name in PRICES:
            if name in columns:
                self.price_zeros = int(common_zeros(columns[name], self.price_zeros))
        for name in QUANTITIES:
            if name in columns:
                self.qty_zeros = int(common_zeros(columns[name], self.qty_zeros))

    def join(self, other: "Grid") -> None:
        """Take in what `other` took in."""
        self.price_zeros = min(self.price_zeros, other.price_zeros)
        self.qty_zeros = min(self.qty_zeros, other.qty_zeros)


class Recorded:
    """What was recorded of one symbol; the rows themselves are staged.

    Attributes:
        symbol: As the venue writes it.
        first_id: First update id of its changes to the book; -1 without any.
        last_id: The last one.
        snapshots: Rows of changes ahead of it, and number, of each snapshot of its book.
    """

    def __init__(self, symbol: str, stage: BlockStage) -> None:
        self.symbol = symbol
        self.grid = Grid()
        self.first_id = self.last_id = -1
        self.snapshots: list[tuple[int, int]] = []
        self._stage = stage

    def add(self, line: LineKind, columns: Columns) -> None:
        """Stage rows of one kind of line."""
        self._stage.append((self.symbol, line), tuple(columns.values()))
        self.grid.add(columns)
        if line is LineKind.DEPTH:
            self.see_ids(columns)

    def see_ids(self, columns: Columns) -> None:
        """Note where the book's update ids stand."""
        self.last_id = int(columns["last_update_id"][-1])
        if self.first_id < 0:
            self.first_id = int(columns["first_update_id"][0])

    def n_rows(self, line: LineKind) -> int:
        """Return how many rows of a kind of line there are; snapshots count as rows of their own."""
        if line is LineKind.SNAPSHOT:
            return sum(self._stage.n_rows(number) for _, number in self.snapshots)
        return self._stage.n_rows((self.symbol, line))

    def line_of(self, kind: DataKind) -> LineKind:
        """Return the kind of line that gives the rows of `kind`: aggregate trades where there are no others."""
        if kind is DataKind.TRADES:
            return LineKind.TRADE if self.n_rows(LineKind.TRADE) else LineKind.AGG_TRADE
        return _LINES_OF[kind]

    def blocks(self, kind: DataKind) -> Iterator[list[IntArray]]:
        """Yield the staged columns of `kind` in the order of receipt, snapshots in their places."""
        row = 0
        waiting = self.snapshots if kind is DataKind.BOOK else []
        for block in self._stage.blocks((self.symbol, self.line_of(kind))):
            begin, end = 0, len(block[0])
            while waiting and waiting[0][0] < row + end:
                cut = waiting[0][0] - row
                if cut > begin:
                    yield [column[begin:cut] for column in block]
                yield from self._stage.blocks(waiting[0][1])
                begin, waiting = cut, waiting[1:]
            yield [column[begin:] for column in block]
            row += end
        for _, number in waiting:
            yield from self._stage.blocks(number)


class _Waiting(NamedTuple):
    """A snapshot whose symbol is not known yet, and where each book stood when it came."""

    number: int
    update_id: int
    ts_ns: int
    grid: Grid
    stood: dict[str, tuple[int, int]]  # Rows so far and the last update id.


class Staged:
    """The rows of a capture by symbol.

    Args:
        stage: Takes the rows.
        asked: The one symbol to keep, as the venue writes it; None keeps all.
    """

    def __init__(self, stage: BlockStage, asked: str | None) -> None:
        self._stage = stage
        self._asked = asked
        self._waiting: list[_Waiting] = []
        self._books: dict[str, Recorded] = {}
        self.recorded: dict[str, Recorded] = {}
        self.n_ownerless = 0  # Snapshots of no symbol's book.

    def take(self, blocks: Iterable[CaptureBlock]) -> None:
        """Stage all of `blocks` and give each snapshot to its symbol.

        Raises:
            DataError: A snapshot could belong to several symbols.
        """
        for block in blocks:
            if block.line is LineKind.SNAPSHOT:
                self._hold(block.columns)
                continue
            recorded = self._books.get(block.symbol)
            if recorded is None:
                recorded = self._books[block.symbol] = Recorded(block.symbol, self._stage)
            if self._asked in (None, block.symbol):
                recorded.add(block.line, block.columns)
            elif block.line is LineKind.DEPTH:
                # Its rows are not wanted, its ids are: a snapshot may be its own.
                recorded.see_ids(block.columns)
        self.recorded = {
            symbol: each for symbol, each in self._books.items() if self._asked in (None, symbol)
        }
        for waiting in self._waiting:
            self._give(waiting)

    def _hold(self, columns: Columns) -> None:
        number = len(self._waiting)
        self._stage.append(number, tuple(columns.values()))
        grid = Grid()
        grid.add(columns)
        stood = {
            symbol: (each.n_rows(LineKind.DEPTH), each.last_id)
            for symbol, each in self._books.items()
            if each.last_id >= 0
        }
        update_id, ts_ns = int(columns["last_update_id"][0]), int(columns["ts_ns"][0])
        self._waiting.append(_Waiting(number, update_id, ts_ns, grid, stood))

    def _give(self, waiting: _Waiting) -> None:
        books = [each for each in self._books.values() if each.first_id >= 0]
        if not books and len(self._books) == 1:
            books = list(self._books.values())
        away = sorted(
            (abs(waiting.update_id - waiting.stood.get(each.symbol, (0, each.first_id))[1]), each.symbol)
            for each in books
        )
        if not away:
            self.n_ownerless += 1
            return
        if len(away) > 1 and away[1][0] < _NEARER * (away[0][0] + 1):
            raise DataError(
                f"the snapshot with lastUpdateId {waiting.update_id} could be of {away[0][1]} or {away[1][1]}",
                "record one symbol per capture, or leave the snapshot out",
            )
        owner = self.recorded.get(away[0][1])
        if owner is not None:
            owner.snapshots.append((waiting.stood.get(owner.symbol, (0, 0))[0], waiting.number))
            owner.grid.join(waiting.grid)
