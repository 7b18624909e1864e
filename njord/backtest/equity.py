"""The equity curve and buy and hold beside it, in constant memory: exact whole numbers in, floats for statistics out.

Between two changes of the account equity is a constant plus quantity x mark of every instrument: the constant is cash,
less the cost of contracts that settle by their profit. Marks are whole ticks, so the sum is done on whole numbers at
one common scale: in int64 where it fits, in Python's own integers where it does not. Bars are sampled at every distinct
close, ticks once in `sample_ns`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal, Inexact
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.backtest.market import Marks
from njord.core.account import Account
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.position import Position
from njord.core.units import EXACT, ZERO, exponent, quantum

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_RECORD = np.dtype([("ts_ns", "<i8"), ("equity", "<f8"), ("benchmark", "<f8")])
_COLUMNS = ("ts_ns", "equity", "benchmark")
_BATCH_ROWS = 65_536
_ALL = slice(None)
_multiply, _subtract, _to_integral = EXACT.multiply, EXACT.subtract, EXACT.to_integral_exact


class EquityRecorder:
    """Collects (ts_ns, equity, benchmark).

    The benchmark is bought once and held: equal parts of the capital in every instrument at its first mark, without
    costs.

    Args:
        instruments: All of the run.
        capital: Opening cash.
        stage: An open binary file that the curve is staged in.
        settled: By instrument: whether it settles by its profit, so that its cost was never paid.
        sample_ns: How far the points of ticks are apart; 0 = a point at every distinct time.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        capital: Decimal,
        stage: IO[bytes],
        settled: Sequence[bool] = (),
        sample_ns: int = 0,
    ) -> None:
        # One scale holds cash, fees, and quantity x tick without a remainder, fees in kind included.
        scales = [each.tick_scale + max(each.lot_scale, each.money_scale) for each in instruments]
        self._scale = max(*scales, exponent(capital))
        self._unit = quantum(self._scale)
        # How many units one of the report asset is, and a tick x one of the base; half the price of `scaleb`.
        self._units = EXACT.scaleb(Decimal(1), self._scale)
        self._tick_units = [_multiply(each.tick_size, self._units) for each in instruments]
        # The last quantity of each instrument and what a tick of it is worth: who trades one size holds it again.
        self._worths = [(ZERO, 0)] * len(instruments)
        self._changes: list[tuple[int, Decimal, tuple[Position, ...]]] = []  # Not yet among the rows below.
        self._settled = tuple(settled) or (False,) * len(instruments)
        self._sample_ns = sample_ns
        self._stage = stage
        # What holds from which row of the block on: the constant, and what a tick of each instrument is worth.
        self._rows: list[int] = [0]
        self._constants: list[int] = [self._whole(_multiply(capital, self._units))]
        self._steps: list[tuple[int, ...]] = [(0,) * len(instruments)]
        self._part = float(capital) / len(instruments)
        self._pending: NDArray[np.void] | None = None  # The last point of ticks, whose time may go on.
        self.first_marks = [0] * len(instruments)  # In ticks; 0 = none was seen.
        self.last_marks = [0] * len(instruments)
        self.n_points = 0
        self.n_bars_invested = 0  # Points at which anything was held.

    def change(self, row: int, account: Account) -> None:
        """From row `row` of the coming block on, the account is as it is now."""
        self._changes.append((row, account.cash, tuple(account.positions)))

    # What has changed since the last block becomes whole numbers all at once: among orders, which come one in many
    # bars, each would take three times as long.
    def _count(self) -> None:
        units, tick_units, worths, whole = self._units, self._tick_units, self._worths, self._whole
        indices = range(len(tick_units))
        for row, constant, positions in self._changes:
            steps = [0] * len(tick_units)
            for index in indices:
                position = positions[index]
                qty = position.qty
                if qty:
                    if self._settled[index]:
                        constant = _subtract(constant, position.cost)
                    known, worth = worths[index]
                    if qty != known:
                        worth = whole(_multiply(qty, tick_units[index]))
                        worths[index] = (qty, worth)
                    steps[index] = worth
            self._rows.append(row)
            self._constants.append(whole(_multiply(constant, units)))
            self._steps.append(tuple(steps))
        self._changes.clear()

    def close_block(self, marks: Marks) -> tuple[IntArray, FloatArray]:
        """Stage the points of a block; return their times and equity, as far as they are final.

        Raises:
            InvariantError: The account held a digit that the curve can not hold.
        """
        self._count()
        every = marks.ts_ns if not self._sample_ns else -(-marks.ts_ns // self._sample_ns) * self._sample_ns
        is_end = np.ones(every.size, dtype=np.bool_)
        np.not_equal(every[1:], every[:-1], out=is_end[:-1])
        ends = _ALL if is_end.all() else np.flatnonzero(is_end)
        prices = [self._filled(index, marks)[ends] for index in range(len(self._tick_units))]
        times = every[ends]
        lengths = np.diff([*self._rows, marks.ts_ns.size])  # Of what holds, in rows.
        is_invested = np.repeat(np.array(list(map(any, self._steps))), lengths)[ends]
        records = np.empty(times.size, dtype=_RECORD)
        records["ts_ns"] = times
        records["equity"] = self._equity(lengths, ends, prices)
        records["benchmark"] = self._benchmark(prices)
        self.n_bars_invested += int(np.count_nonzero(is_invested))
        self._rows, self._constants, self._steps = [0], self._constants[-1:], self._steps[-1:]
        return self._write(self._with_pending(records, bool(is_invested[0])) if self._sample_ns else records)

    def finish(self) -> tuple[IntArray, FloatArray]:
        """Stage the last point, as the account is now; return its time and equity if it was not staged before."""
        if self._pending is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        self._count()
        last = self._pending.copy()
        prices = [np.array([ticks], dtype=np.int64) for ticks in self.last_marks]
        lengths = np.zeros(len(self._rows), dtype=np.int64)
        lengths[-1] = 1
        last["equity"] = self._equity(lengths, _ALL, prices)
        self._pending = None
        return self._write(last)

    # The marks of one instrument at every row; the last one known holds until the next.
    def _filled(self, index: int, marks: Marks) -> IntArray:
        own = marks.ticks
        if len(self._tick_units) > 1:
            own = np.where(marks.instrument == index, own, 0)
        if not own.all():
            at = np.maximum.accumulate(np.where(own > 0, np.arange(own.size), -1))
            own = np.where(at < 0, self.last_marks[index], own[at])
        if not self.first_marks[index]:
            seen = own[own > 0]
            self.first_marks[index] = int(seen[0]) if seen.size else 0
        self.last_marks[index] = int(own[-1])
        return own

    # At the rows `ends`, where each of what holds does so for `lengths` rows, one after the other.
    def _equity(self, lengths: IntArray, ends: IntArray | slice, prices: list[IntArray]) -> FloatArray:
        largest = max(map(abs, self._constants))
        every = list(zip(*self._steps, strict=True))  # By instrument.
        for steps, price in zip(every, prices, strict=True):
            largest += max(map(abs, steps)) * int(price.max())
        kind = np.int64 if largest < 2**63 else object
        total = np.repeat(np.array(self._constants, dtype=kind), lengths)[ends]
        for steps, price in zip(every, prices, strict=True):
            if any(steps):
                held = np.repeat(np.array(steps, dtype=kind), lengths)[ends]
                total = total + price.astype(kind, copy=False) * held
        equity: FloatArray = (total / 10**self._scale).astype(np.float64, copy=False)
        return equity

    def _benchmark(self, prices: list[IntArray]) -> FloatArray:
        total = np.zeros(prices[0].size)
        for first, price in zip(self.first_marks, prices, strict=True):
            total += np.where(price > 0, price * (self._part / first), self._part) if first else self._part
        return total

    # A sample goes on while its time does, also into the next block.
    def _with_pending(self, records: NDArray[np.void], is_invested: bool) -> NDArray[np.void]:
        pending = self._pending
        if pending is not None:
            if pending["ts_ns"][0] < records["ts_ns"][0]:
                records = np.concatenate((pending, records))
            elif is_invested:
                self.n_bars_invested -= 1  # It was counted with the block before.
        self._pending = records[-1:]
        return records[:-1]

    def _write(self, records: NDArray[np.void]) -> tuple[IntArray, FloatArray]:
        self._stage.write(records.tobytes())
        self.n_points += records.size
        return records["ts_ns"].astype(np.int64), records["equity"].astype(np.float64)

    # Exact, or the accounting has found a digit that the scale above can not hold.
    def _whole(self, n_units: Decimal) -> int:
        try:
            return int(_to_integral(n_units))
        except Inexact:
            amount = _multiply(n_units, self._unit)
            raise InvariantError(f"{amount} has more than {self._scale} decimals") from None

    def batches(self) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Yield the whole curve, from the first point, in pieces: times, equity, benchmark."""
        self._stage.flush()
        self._stage.seek(0)
        while data := self._stage.read(_BATCH_ROWS * _RECORD.itemsize):
            records = np.frombuffer(data, dtype=_RECORD)
            yield (
                records["ts_ns"].astype(np.int64),
                records["equity"].astype(np.float64),
                records["benchmark"].astype(np.float64),
            )

    def write_parquet(self, path: Path) -> None:
        """Write the whole curve to one Parquet file (columns `ts_ns`, `equity`, `benchmark`) in constant memory."""
        schema = pl.Schema({"ts_ns": pl.Int64, "equity": pl.Float64, "benchmark": pl.Float64})

        def source(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            for columns in self.batches():
                frame = pl.DataFrame(dict(zip(_COLUMNS, columns, strict=True)), schema=schema)
                yield frame if with_columns is None else frame.select(with_columns)

        lazy = pl.io.plugins.register_io_source(source, schema=schema)
        lazy.sink_parquet(path, compression="zstd")

    def sample(self, n_max: int) -> tuple[list[int], list[float], list[float]]:
        """Return at most `n_max` points, evenly spaced, the last one included: times, equity, benchmark."""
        stride = max(1, -(-self.n_points // max(1, n_max - 1)))
        times: list[int] = []
        equity: list[float] = []
        benchmark: list[float] = []
        offset = 0
        last: tuple[int, float, float] | None = None
        for ts_ns, worth, held in self.batches():
            first = -offset % stride
            times += ts_ns[first::stride].tolist()
            equity += worth[first::stride].tolist()
            benchmark += held[first::stride].tolist()
            offset += ts_ns.size
            last = (int(ts_ns[-1]), float(worth[-1]), float(held[-1]))
        if last is not None and times[-1] != last[0]:
            times.append(last[0])
            equity.append(last[1])
            benchmark.append(last[2])
        return times, equity, benchmark
