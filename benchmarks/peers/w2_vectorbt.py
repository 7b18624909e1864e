"""W2 in vectorbt: every tenth slow window of the 10,000 combinations, one window a chunk. `ARRAYS ENGINE SLOW_STEP`.

All at once would need tens of GiB; per bar and combination the chunks cost the same.
"""

import importlib
import sys
from typing import Any

from benchmarks.peers.child import Work, serve
from benchmarks.peers.w1_vectorbt import closes, vbt

np: Any = importlib.import_module("numpy")


def _prepare() -> tuple[Work, dict[str, Any]]:
    vbt.settings["engine"] = sys.argv[2]
    close = closes(sys.argv[1])
    fasts, slows = np.arange(5, 105), np.arange(110, 1101, 10)[:: int(sys.argv[3])]

    def work() -> dict[str, Any]:
        fast, slow = vbt.MA.run(close, fasts).ma.values, vbt.MA.run(close, slows).ma.values
        total, orders = 0.0, 0
        for column in range(len(slows)):
            with np.errstate(invalid="ignore"):
                want = fast > slow[:, [column]]
            portfolio = vbt.Portfolio.from_signals(
                close, entries=want, exits=~want, size=1.0, fees=0.001, init_cash=1e6, freq="1min"
            )
            total += float(np.asarray(portfolio.final_value()).sum())
            portfolio.max_drawdown()
            orders += len(portfolio.orders.records)
        return {"orders": orders, "equity": round(total, 2)}

    return work, {"units": len(close) * len(fasts) * len(slows), "points": len(fasts) * len(slows)}


if __name__ == "__main__":
    serve(f"vectorbt {vbt.__version__} ({sys.argv[2]})", _prepare)
