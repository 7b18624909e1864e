"""W1 in vectorbt: averages, signals, portfolio and drawdown, all vectorized. `ARRAYS ENGINE` (numba or rust)."""

import importlib
import sys
from typing import Any

from benchmarks.peers.child import Work, serve

np: Any = importlib.import_module("numpy")
pandas: Any = importlib.import_module("pandas")
vbt: Any = importlib.import_module("vectorbt")  # Lives in its own environment only.


def closes(arrays: str) -> Any:
    """Return the closes of a file of bars, indexed by time."""
    with np.load(arrays) as bars:
        return pandas.Series(bars["close"], index=pandas.to_datetime(bars["ts"], unit="ms"))


def _prepare() -> tuple[Work, dict[str, Any]]:
    vbt.settings["engine"] = sys.argv[2]
    close = closes(sys.argv[1])

    def work() -> dict[str, Any]:
        fast = vbt.MA.run(close, 10).ma.values
        slow = vbt.MA.run(close, 30).ma.values
        with np.errstate(invalid="ignore"):
            want = fast > slow
        portfolio = vbt.Portfolio.from_signals(
            close, entries=want, exits=~want, size=1.0, fees=0.001, init_cash=1e8, freq="1min"
        )
        portfolio.max_drawdown()
        return {"orders": len(portfolio.orders.records), "equity": round(float(portfolio.final_value()), 1)}

    return work, {"units": len(close)}


if __name__ == "__main__":
    serve(f"vectorbt {vbt.__version__} ({sys.argv[2]})", _prepare)
