"""W1 in backtesting.py: market orders at the close, indicators computed beforehand, statistics included. `ARRAYS`."""

import importlib
import sys
import warnings
from typing import Any

from benchmarks.peers.child import Work, serve

np: Any = importlib.import_module("numpy")
pandas: Any = importlib.import_module("pandas")
backtesting: Any = importlib.import_module("backtesting")  # Lives in its own environment only.


def _average(closes: Any, n_bars: int) -> Any:
    total = np.cumsum(np.r_[0.0, closes])
    averages = np.full(len(closes), np.nan)
    averages[n_bars - 1 :] = (total[n_bars:] - total[:-n_bars]) / n_bars
    return averages


class _Cross(backtesting.Strategy):  # type: ignore[misc]  # The peer is not known to mypy.
    def init(self) -> None:
        closes = np.asarray(self.data.Close)
        self.fast, self.slow = self.I(_average, closes, 10), self.I(_average, closes, 30)
        self.is_long = False

    def next(self) -> None:
        wants_long = bool(self.fast[-1] > self.slow[-1])
        if wants_long is self.is_long:
            return
        self.is_long = wants_long
        if wants_long:
            self.buy(size=1)
        else:
            self.position.close()


def _prepare() -> tuple[Work, dict[str, Any]]:
    warnings.filterwarnings("ignore")
    backtesting.backtesting._tqdm = lambda items, **_: items  # No progress bar in the timing.
    with np.load(sys.argv[1]) as bars:
        columns = {name.capitalize(): bars[name] for name in ("open", "high", "low", "close", "volume")}
        frame = pandas.DataFrame(columns, index=pandas.to_datetime(bars["ts"], unit="ms"))
    test = backtesting.Backtest(
        frame, _Cross, cash=1e8, commission=0.001, trade_on_close=True, finalize_trades=True
    )

    def work() -> dict[str, Any]:
        found = test.run()
        return {"orders": 2 * int(found["# Trades"]), "equity": round(float(found["Equity Final [$]"]), 1)}

    return work, {"units": len(frame)}


if __name__ == "__main__":
    serve(f"backtesting.py {backtesting.__version__}", _prepare)
