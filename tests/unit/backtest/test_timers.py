"""Timers in the history host: between bars, at the last known price, and never back in time."""

from decimal import Decimal
from pathlib import Path

from njord.adapters.config_loader import load_config
from njord.backtest.result import BacktestResult
from njord.backtest.session import BacktestRequest, prepare, run_backtest
from njord.storage.bars_options import BarOptions

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000

STRATEGY = """
from njord.strategies import BarView, Context, OrderIntent, Proposals, Side, Strategy, TimerFired, TimerSet


class Waits(Strategy):
    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        if ctx.n_bars == 1:
            return TimerSet(key="go", due_ns=bar.ts_ns + 330_000_000_000)
        return None

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return OrderIntent(side=Side.BUY, qty_lots=ctx.instrument.lots("0.5"))
"""


def test_an_order_sent_by_a_timer_meets_the_last_price_and_the_next_open(tmp_path: Path) -> None:
    prices = [1, 1, 1, 1, 100, 101, 102, 103, 104]
    rows = (f"{START_NS // 10**9 + 60 * i},{p},{p},{p},{p},1\n" for i, p in enumerate(prices))
    data = tmp_path / "BTC_USDT.csv"
    data.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows))
    (tmp_path / "waits.py").write_text(STRATEGY)
    bars = BarOptions(tick=Decimal(1), min_notional=Decimal(10))
    request = BacktestRequest(strategy=str(tmp_path / "waits.py"), data=data, bars=bars)
    prepared = prepare(request, load_config(tmp_path, {"backtest.slippage_bps": "0"}, {}).config, {})
    with prepared.market:
        result: BacktestResult = run_backtest(prepared, tmp_path / "reports").result
    # Due at 6:30, inside the bar that opened at 6:00: the first open after it is that of 7:00. The venue measures the
    # minimum notional at the close of 5:00 to 6:00, though no bar since the first had made it look.
    assert result.endings == {"filled": 1}
    assert [(fill.ts_ns, fill.price) for fill in result.fills] == [(START_NS + 7 * MINUTE_NS, "103")]
