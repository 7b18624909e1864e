"""The equity curve, bar by bar, in constant memory: exact whole numbers in, floats for statistics out.

Between two fills equity is cash + quantity x close. The chunk's closes are whole ticks, so the sum is done on whole
numbers at one common scale: in int64 where it fits, in Python's own integers where it does not.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, exponent

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
_RECORD = np.dtype([("ts_ns", "<i8"), ("equity", "<f8")])
_BATCH_ROWS = 65_536


class EquityRecorder:
    """Collects (ts_ns, equity) at every bar close.

    Args:
        instrument: Whose bars are marked.
        cash: Opening cash.
        stage: An open binary file that the curve is staged in.
    """

    def __init__(self, instrument: Instrument, cash: Decimal, stage: IO[bytes]) -> None:
        # One scale holds cash, fees, and quantity x tick without a remainder, fees in kind included.
        self._scale = instrument.tick_scale + max(instrument.lot_scale, instrument.money_scale)
        self._scale = max(self._scale, exponent(cash))
        self._tick_size = instrument.tick_size
        self._cash = self._whole(cash)
        self._step = 0
        self._stage = stage
        self._rows: list[int] = [0]
        self._cashes: list[int] = [self._cash]
        self._steps: list[int] = [0]
        self.n_points = 0
        self.n_bars_invested = 0

    def change(self, row: int, cash: Decimal, qty: Decimal) -> None:
        """From chunk row `row` on, the account holds `cash` and `qty`."""
        self._cash, self._step = self._whole(cash), self._whole(EXACT.multiply(qty, self._tick_size))
        self._rows.append(row)
        self._cashes.append(self._cash)
        self._steps.append(self._step)

    def close_chunk(self, ts_ns: IntArray, close: IntArray) -> FloatArray:
        """Return equity at each of the chunk's closes, and stage it."""
        lengths = np.diff([*self._rows, close.size])
        largest = max(map(abs, self._cashes)) + max(map(abs, self._steps)) * int(close.max())
        kind = np.int64 if largest < 2**63 else object
        cash = np.repeat(np.array(self._cashes, dtype=kind), lengths)
        step = np.repeat(np.array(self._steps, dtype=kind), lengths)
        equity: FloatArray = ((close.astype(kind) * step + cash) / 10**self._scale).astype(np.float64)
        self.n_bars_invested += int(np.count_nonzero(step))
        self._rows, self._cashes, self._steps = [0], [self._cash], [self._step]
        records = np.empty(close.size, dtype=_RECORD)
        records["ts_ns"], records["equity"] = ts_ns, equity
        self._stage.write(records.tobytes())
        self.n_points += close.size
        return equity

    # Exact, or the accounting has found a digit that the scale above can not hold.
    def _whole(self, amount: Decimal) -> int:
        scaled = EXACT.scaleb(amount, self._scale)
        whole = int(scaled)
        if whole != scaled:
            raise InvariantError(f"{amount} has more than {self._scale} decimals")
        return whole

    def batches(self) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield the whole curve, from the first bar, in pieces."""
        self._stage.flush()
        self._stage.seek(0)
        while data := self._stage.read(_BATCH_ROWS * _RECORD.itemsize):
            records = np.frombuffer(data, dtype=_RECORD)
            yield records["ts_ns"].astype(np.int64), records["equity"].astype(np.float64)

    def write_parquet(self, path: Path) -> None:
        """Write the whole curve to one Parquet file (columns `ts_ns`, `equity`) in constant memory."""
        schema = pl.Schema({"ts_ns": pl.Int64, "equity": pl.Float64})

        def source(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            for ts_ns, equity in self.batches():
                frame = pl.DataFrame({"ts_ns": ts_ns, "equity": equity}, schema=schema)
                yield frame if with_columns is None else frame.select(with_columns)

        lazy = pl.io.plugins.register_io_source(source, schema=schema)
        lazy.sink_parquet(path, compression="zstd")

    def sample(self, n_max: int) -> tuple[list[int], list[float]]:
        """Return at most `n_max` points, evenly spaced, the last one included."""
        stride = max(1, -(-self.n_points // max(1, n_max - 1)))
        ts_out: list[int] = []
        equity_out: list[float] = []
        offset = 0
        for ts_ns, equity in self.batches():
            first = -offset % stride
            ts_out += ts_ns[first::stride].tolist()
            equity_out += equity[first::stride].tolist()
            offset += ts_ns.size
            last = (int(ts_ns[-1]), float(equity[-1]))
        if self.n_points and ts_out[-1] != last[0]:
            ts_out.append(last[0])
            equity_out.append(last[1])
        return ts_out, equity_out
