"""What are the bars of a block, without making each of them a message? Columns in; a sequence of bars out, lazily."""

from collections.abc import Iterator, Sequence
from typing import overload

from njord.backtest.market import IntArray
from njord.core.contracts import Bar
from njord.core.instrument import Instrument
from njord.storage.dataset import BarChunk
from njord.strategies.features import BarColumns


class BarRows(Sequence[Bar]):
    """Successive bars of one instrument; a bar becomes a message when it is asked for, each time anew.

    Args:
        chunk: The rows.
        interval_ns: Length of a bar.
        instrument: The index that the messages carry.
    """

    __slots__ = ("_chunk", "_instrument", "_interval_ns", "_views")

    def __init__(self, chunk: BarChunk, interval_ns: int, instrument: int) -> None:
        self._chunk = chunk
        self._interval_ns = interval_ns
        self._instrument = instrument
        # Indexing a view gives an int at once; indexing an array first makes a numpy scalar of it.
        columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)
        self._views: tuple[memoryview[int], ...] = tuple(memoryview(column.data) for column in columns)

    def __len__(self) -> int:
        return int(self._chunk.close.size)

    @overload
    def __getitem__(self, at: int) -> Bar: ...
    @overload
    def __getitem__(self, at: slice) -> "BarRows": ...
    def __getitem__(self, at: int | slice) -> "Bar | BarRows":
        return self._part(at) if isinstance(at, slice) else self.at(at)

    def at(self, at: int) -> Bar:
        """Return one bar."""
        ts_open_ns, open_, high, low, close, volume = self._views
        opened_ns = ts_open_ns[at]
        return Bar(
            ts_ns=opened_ns + self._interval_ns,
            instrument=self._instrument,
            ts_open_ns=opened_ns,
            open=open_[at],
            high=high[at],
            low=low[at],
            close=close[at],
            volume_lots=volume[at],
        )

    def __iter__(self) -> Iterator[Bar]:
        chunk, interval_ns, instrument = self._chunk, self._interval_ns, self._instrument
        columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close, chunk.volume_lots)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        # Made at once: a generator would be resumed for every bar.
        return iter(
            [
                Bar(
                    ts_ns=ts_open_ns + interval_ns,
                    instrument=instrument,
                    ts_open_ns=ts_open_ns,
                    open=open_,
                    high=high,
                    low=low,
                    close=close,
                    volume_lots=volume,
                )
                for ts_open_ns, open_, high, low, close, volume in rows
            ]
        )

    @property
    def ts_ns(self) -> IntArray:
        """When each bar became known."""
        return self._chunk.ts_open_ns + self._interval_ns

    def columns(self, instrument: Instrument) -> BarColumns:
        """Return the bars as arrays."""
        chunk = self._chunk
        return BarColumns(
            instrument=instrument,
            ts_open_ns=chunk.ts_open_ns,
            ts_ns=self.ts_ns,
            open=chunk.open,
            high=chunk.high,
            low=chunk.low,
            close=chunk.close,
            volume_lots=chunk.volume_lots,
        )

    def _part(self, rows: slice) -> "BarRows":
        first, end, stride = rows.indices(len(self))
        if stride != 1:
            raise ValueError(f"bars are taken as they follow each other, stride was {stride}")
        chunk = self._chunk
        part = BarChunk(
            first_row=chunk.first_row + first,
            ts_open_ns=chunk.ts_open_ns[first:end],
            open=chunk.open[first:end],
            high=chunk.high[first:end],
            low=chunk.low[first:end],
            close=chunk.close[first:end],
            volume_lots=chunk.volume_lots[first:end],
        )
        return BarRows(part, self._interval_ns, self._instrument)
