"""What did a run do, in steps that can be drawn again? A backtest's folder in; growth factors by trade and by bar out.

A round trip's factor is 1 + its profit / the account's equity when it was opened, so that a path of the very same trades in
their own order ends where the run did, if one position was held at a time. Parts of one position that were opened and
closed together are one trade. A bar's factor is its closing equity over that of the bar before.
"""

from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from njord.backtest.recorded_run import RUN_FILE
from njord.core.errors import ConfigError, DataError
from njord.performance.returns import FloatArray, IntArray

SUMMARY_FILE = "summary.json"
TRADES_NEEDED, BARS_NEEDED = 30, 100


class _Trip(msgspec.Struct):
    strategy_id: str
    symbol: str
    ts_open_ns: int
    ts_close_ns: int
    pnl: str


class _Named(msgspec.Struct):
    id: str


class _Traded(msgspec.Struct):
    symbol: str


class _Summary(msgspec.Struct):
    run_id: str
    report_asset: str
    capital: str
    strategies: list[_Named]
    instruments: list[_Traded]
    round_trips: list[_Trip]
    equity_curve_file: str


class FinishedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A backtest that has ended.

    Attributes:
        title: Which strategies ran on which symbols.
        capital: At the start, in `report_asset`.
        ts_ns: When equity was known, shape (n_bars,), rising.
        equity: In `report_asset`, shape (n_bars,).
        trips: Of each trade when it was opened and closed, and its profit; in the order in which they closed.
    """

    folder: Path
    run_id: str
    title: str
    report_asset: str
    capital: float
    ts_ns: IntArray
    equity: FloatArray
    trips: tuple[tuple[int, int, float], ...]

    def trade_factors(self) -> FloatArray:
        """Return the factor of each trade, >= 0, in the order in which they closed.

        Raises:
            DataError: There are too few to draw from.
        """
        if len(self.trips) < TRADES_NEEDED:
            raise DataError(
                f"{self.folder} has {len(self.trips)} closed trades, a bootstrap of trades needs {TRADES_NEEDED}",
                "use --method bars-block, or a longer run",
            )
        opened = np.array([opened_ns for opened_ns, _, _ in self.trips], dtype=np.int64)
        pnl = np.array([pnl for _, _, pnl in self.trips])
        at = np.searchsorted(self.ts_ns, opened, side="right") - 1
        before = np.where(at < 0, self.capital, self.equity[np.maximum(at, 0)])
        return self._factors(before + pnl, before)

    def bar_factors(self) -> FloatArray:
        """Return the factor of each bar, >= 0; none after ruin.

        Raises:
            DataError: There are too few to draw from.
        """
        if self.equity.size < BARS_NEEDED:
            raise DataError(
                f"{self.folder} has {self.equity.size} bars, a bootstrap of bars needs {BARS_NEEDED}",
                "use a longer run",
            )
        return self._factors(self.equity, np.concatenate(([self.capital], self.equity[:-1])))

    def _factors(self, after: FloatArray, before: FloatArray) -> FloatArray:
        ruined = np.flatnonzero((after <= 0) | (before <= 0))
        n = int(ruined[0]) + 1 if ruined.size else after.size
        factors: FloatArray = np.maximum(after[:n], 0.0) / np.where(before[:n] > 0, before[:n], 1.0)
        return factors


def read_run(folder: Path) -> FinishedRun:
    """Return the backtest in `folder`.

    Raises:
        ConfigError: There is none, or its files are damaged.
    """
    path = folder / SUMMARY_FILE
    if not path.is_file() or not (folder / RUN_FILE).is_file():
        raise ConfigError(
            f"{folder} is no backtest's folder: it has no {SUMMARY_FILE}", "make one: njord backtest"
        )
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=_Summary)
        curve = pl.read_parquet(folder / summary.equity_curve_file, columns=["ts_ns", "equity"])
        trades = _together(summary.round_trips)
        capital = float(summary.capital)
    except (msgspec.MsgspecError, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise ConfigError(f"{folder} is damaged: {error}", "run it again") from None
    names = ", ".join(each.id for each in summary.strategies)
    return FinishedRun(
        folder=folder,
        run_id=summary.run_id,
        title=f"{names} on {', '.join(each.symbol for each in summary.instruments)}",
        report_asset=summary.report_asset,
        capital=capital,
        ts_ns=curve["ts_ns"].to_numpy(),
        equity=curve["equity"].to_numpy(),
        trips=trades,
    )


def _together(trips: list[_Trip]) -> tuple[tuple[int, int, float], ...]:
    found: dict[tuple[str, str, int, int], float] = {}
    for trip in trips:
        key = (trip.strategy_id, trip.symbol, trip.ts_open_ns, trip.ts_close_ns)
        found[key] = found.get(key, 0.0) + float(trip.pnl)
    rows = [(opened, closed, pnl) for (_, _, opened, closed), pnl in found.items()]
    return tuple(sorted(rows, key=lambda row: (row[1], row[0])))
