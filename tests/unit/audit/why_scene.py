"""Small runs on disk whose every order is known: what was scripted is what `njord why` must tell."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from njord.adapters.config_loader import load_config
from njord.backtest.request import BacktestRequest
from njord.backtest.session import prepare, run_backtest
from njord.storage.bars_options import BarOptions

START_S = 1_704_067_200  # 2024-01-01, a Monday.
HEADER = """
from njord.strategies import *


class Case(Strategy):
    def warm_up(self) -> int:
        return 2

"""

# By bar, from 1; a flat market at 2000 but for what `PRICES` says.
SCRIPT = (
    HEADER
    + """
    def on_bar(self, ctx, bar):
        n, lots = ctx.n_bars, 100_000_000
        if n == 1:
            return Target(weight=0.5, reason="too early")
        if n == 3:
            return Target(qty=2, reason="up", features=(("x", 1.5), ("third", 1 / 3)))
        if n == 5:
            stop = OrderIntent(side="sell", type="stop", qty_lots=lots, trigger_price_ticks=190_000,
                               reduce_only=True, group_id="way out", reason="stop")
            take = OrderIntent(side="sell", type="limit", qty_lots=lots, limit_price_ticks=210_000,
                               reduce_only=True, group_id="way out", reason="take")
            return [stop, take]
        if n == 8:
            return OrderIntent(side="buy", type="limit", qty_lots=lots, limit_price_ticks=150_000, reason="dip")
        if n == 9:
            return AmendIntent(client_order_id=ctx.open_orders[0].client_order_id,
                               limit_price_ticks=160_000, reason="nearer")
        if n == 10:
            return CancelIntent(client_order_id=ctx.open_orders[0].client_order_id, reason="changed my mind")
        if n == 12:
            return OrderIntent(side="buy", qty_lots=9 * lots, reason="greed", meta=(("note", "mine"),))
        if n == 13:
            return OrderIntent(side="buy", type="limit", tif="gtd", qty_lots=lots, limit_price_ticks=150_000,
                               expire_ns=ctx.ts_ns + 90_000_000_000)
        if n == 16:
            return Target(qty=1, reason="again")
        if n == 17:
            return CancelIntent(client_order_id="NJ-NOBODY")
        if n == 18:
            return Target(qty=0, reason="out")
        if n == 20:
            return OrderIntent(side="buy", type="limit", qty_lots=lots, limit_price_ticks=150_000)
        return None
"""
)
PRICES = {7: 2_110}  # The take profit at 2,100 fills within this bar, so the stop of its group ends.
FAILS = (
    HEADER
    + """
    def on_bar(self, ctx, bar):
        if ctx.n_bars == 3:
            return OrderIntent(side="buy", type="limit", qty_lots=1_000_000, limit_price_ticks=150_000)
        if ctx.n_bars == 5:
            raise ValueError("no more")
        return None
"""
)
LEVERED = (
    HEADER
    + """
    def on_bar(self, ctx, bar):
        return Target(weight=9.0, reason="all in") if ctx.n_bars == 3 else None
"""
)
QUIET = HEADER + "    def on_bar(self, ctx, bar):\n        return None\n"


def at(bar: int) -> str:
    """Return the time at which a bar closes, counted from 1."""
    return datetime.fromtimestamp(START_S + 60 * bar, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def make_run(
    folder: Path,
    script: str,
    *,
    n_bars: int = 24,
    prices: Mapping[int, int] = PRICES,
    settings: Mapping[str, str] | None = None,
    symbol: str = "BTC/USDT",
    missing: Sequence[int] = (),
) -> Path:
    """Run a script over minute bars and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["timestamp,open,high,low,close,volume"]
    for number in range(1, n_bars + 1):
        if number in missing:
            continue
        price = prices.get(number, 2_000)
        low, high = min(price, 2_000), max(price, 2_000)
        rows.append(f"{START_S + 60 * (number - 1)},2000,{high},{low},{price},7")
    (folder / "bars.csv").write_text("\n".join(rows) + "\n")
    (folder / "case.py").write_text(script)
    request = BacktestRequest(
        strategy=str(folder / "case.py"),
        data=folder / "bars.csv",
        bars=BarOptions(symbol=symbol, tick=Decimal("0.01"), lot=Decimal("0.00000001")),
    )
    config = load_config(folder, settings or {}, {}).config
    prepared = prepare(request, config, {})
    with prepared.market:
        return run_backtest(prepared, folder, folder=folder / "run").folder
