"""Small journals for tests: messages that are told apart by their number, written in blocks over several segments."""

from pathlib import Path

from njord.core.codec import decode
from njord.core.contracts import Bar, Message, Ref, TimerFired, TradeEvent
from njord.core.types import Side
from njord.storage.disk import Disk
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import read_blocks


def timer(number: int) -> TimerFired:
    """A short message."""
    return TimerFired(ts_ns=number, strategy_id="s", instrument=0, key="k", due_ns=number)


def bar(number: int, instrument: int = 0) -> Bar:
    """A bar, which is not written while a Ref names it."""
    return Bar(ts_ns=number, instrument=instrument, ts_open_ns=number - 1, open=1, high=1, low=1, close=1)


def trade(number: int, instrument: int = 0) -> TradeEvent:
    """A public trade."""
    return TradeEvent(
        ts_ns=number,
        instrument=instrument,
        price_ticks=1,
        qty_lots=1,
        side=Side.BUY,
        trade_id=number,
        ts_venue_ns=number,
    )


def ref(number: int, n_rows: int) -> Ref:
    """A reference to the next rows."""
    return Ref(ts_ns=number, dataset_hash="d", instrument=0, first_row=0, last_row=n_rows - 1)


def write_small(directory: Path, disk: Disk | None = None) -> JournalWriter:
    """Write three segments of one or two blocks, referenced rows included, and close; return the writer."""
    writer = JournalWriter(directory, disk, segment_bytes=500)
    for number in range(1, 3):
        writer.append(timer(number))
    writer.commit()
    writer.append(ref(3, 4))
    writer.append(bar(4))
    writer.append(timer(5))
    writer.append(bar(6))
    writer.sync()
    writer.append(bar(7))
    writer.append(timer(8))
    writer.commit()
    writer.append(timer(9))
    writer.append(timer(10))
    writer.commit()
    writer.append(timer(11))
    writer.close()
    return writer


def messages(directory: Path) -> dict[int, Message]:
    """Return the written messages by their number; referenced rows are not among them."""
    return {line.seq: decode(line.message) for block in read_blocks(directory) for line in block.lines}


def segments(directory: Path) -> list[Path]:
    """Return the segment files in order."""
    return sorted(directory.glob("*.ndjson"))
