"""Run the plan in backtesting.py: bars as JSON on stdin, its trades as JSON on stdout.

Started by `bars` with the interpreter of backtesting.py's own environment, never by ours. Prices go in as whole ticks,
which floats hold exactly. Input: {"bars": [[open, high, low, close], ...], "may_short": bool}. Output: {"version",
"trades": [[entry_bar, exit_bar or -1, size, entry_price, exit_price or 0], ...], "profit": ticks, "warnings": n}.
"""

import importlib
import json
import sys
import warnings
from typing import Any

from benchmarks.differential.plan import CancelAll, Enter, Plan, PlanBar

backtesting: Any = importlib.import_module("backtesting")  # Lives in its own environment only.
pandas: Any = importlib.import_module("pandas")
CASH = 10**15  # Never the reason for a refusal, and still exact beside prices in ticks.


def strategy_of(plan: Plan, found: dict[str, Any]) -> Any:
    """Return a strategy class of backtesting.py that does what `plan` says, and leaves its broker in `found`."""

    class Planned(backtesting.Strategy):  # type: ignore[misc]  # The peer is not known to mypy.
        def init(self) -> None:
            found["broker"] = self._broker

        def next(self) -> None:
            data = self.data
            while plan.n_bars < len(data):  # It is first called on the second bar.
                row = plan.n_bars
                columns = (data.Open, data.High, data.Low, data.Close)
                bar = PlanBar(*(int(column[row]) for column in columns))
                for action in plan.on_bar(bar, int(self.position.size)):
                    self.send(action)

        def send(self, action: Any) -> None:
            if isinstance(action, CancelAll):
                for order in list(self.orders):
                    order.cancel()
                return
            place = self.buy if action.sign > 0 else self.sell
            if isinstance(action, Enter):
                prices = {action.kind: action.price} if action.kind != "market" else {}
                place(size=1, sl=action.stop or None, tp=action.limit or None, **prices)
            elif action.kind == "either":
                (trade,) = self.trades
                trade.sl, trade.tp = action.stop, action.limit
            else:
                prices = {action.kind: getattr(action, action.kind)} if action.kind != "market" else {}
                place(size=1, **prices)

    return Planned


def run(bars: list[list[int]], may_short: bool) -> dict[str, Any]:
    """Return what backtesting.py makes of the plan."""
    frame = pandas.DataFrame(bars, columns=["Open", "High", "Low", "Close"], dtype=float)
    found: dict[str, Any] = {}
    backtesting.backtesting._tqdm = lambda items, **_: items  # No progress bar.
    test = backtesting.Backtest(
        frame,
        strategy_of(Plan(may_short), found),
        cash=CASH,
        spread=0.0,
        commission=0.0,
        margin=1.0,
        trade_on_close=False,
        hedging=False,
        exclusive_orders=False,
        finalize_trades=False,
    )
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        test.run()
    broker = found["broker"]
    trades = [
        [
            int(trade.entry_bar),
            -1 if trade.exit_bar is None else int(trade.exit_bar),
            int(trade.size),
            float(trade.entry_price),
            float(trade.exit_price or 0),
        ]
        for trade in (*broker.closed_trades, *broker.trades)
    ]
    return {
        "version": backtesting.__version__,
        "trades": sorted(trades),
        "profit": float(broker._cash - CASH),
        "warnings": len(warned),
    }


def main() -> None:
    """Answer stdin on stdout."""
    asked = json.load(sys.stdin)
    json.dump(run(asked["bars"], asked["may_short"]), sys.stdout)


if __name__ == "__main__":
    main()
