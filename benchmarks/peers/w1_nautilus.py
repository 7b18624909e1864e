"""W1 in NautilusTrader: BacktestEngine, a strategy in Python on its compiled averages. `ARRAYS`.

Logging, its risk engine and its analysis are bypassed, and loading the bars is not timed: what is left is its matching,
its orders, its account and its message bus.
"""

import importlib
import sys
from decimal import Decimal
from typing import Any

from benchmarks.peers.child import Work, serve

np: Any = importlib.import_module("numpy")
pandas: Any = importlib.import_module("pandas")
nautilus: Any = importlib.import_module("nautilus_trader")  # Lives in its own environment only.
engines: Any = importlib.import_module("nautilus_trader.backtest.engine")
settings: Any = importlib.import_module("nautilus_trader.config")
indicators: Any = importlib.import_module("nautilus_trader.indicators")
currencies: Any = importlib.import_module("nautilus_trader.model.currencies")
data: Any = importlib.import_module("nautilus_trader.model.data")
enums: Any = importlib.import_module("nautilus_trader.model.enums")
ids: Any = importlib.import_module("nautilus_trader.model.identifiers")
instruments: Any = importlib.import_module("nautilus_trader.model.instruments")
objects: Any = importlib.import_module("nautilus_trader.model.objects")
wranglers: Any = importlib.import_module("nautilus_trader.persistence.wranglers")
trading: Any = importlib.import_module("nautilus_trader.trading.strategy")

VENUE = ids.Venue("BINANCE")
BAR_TYPE = data.BarType.from_str("BTCUSDT.BINANCE-1-MINUTE-LAST-EXTERNAL")
BTC, USDT = currencies.BTC, currencies.USDT


def _pair() -> Any:
    symbol = ids.Symbol("BTCUSDT")
    smallest = objects.Quantity(0.00001, 5)
    return instruments.CurrencyPair(
        instrument_id=ids.InstrumentId(symbol, VENUE),
        raw_symbol=symbol,
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=1,
        price_increment=objects.Price(0.1, 1),
        size_precision=5,
        size_increment=smallest,
        lot_size=None,
        min_quantity=smallest,
        max_quantity=objects.Quantity(9000, 5),
        min_notional=objects.Money(0.1, USDT),
        max_notional=None,
        min_price=objects.Price(0.1, 1),
        max_price=objects.Price(1_000_000, 1),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        ts_event=0,
        ts_init=0,
    )


class _Cross(trading.Strategy):  # type: ignore[misc]  # The peer is not known to mypy.
    def __init__(self, instrument_id: Any) -> None:
        super().__init__(settings.StrategyConfig())
        self.traded = instrument_id
        self.fast, self.slow = indicators.SimpleMovingAverage(10), indicators.SimpleMovingAverage(30)
        self.quantity = objects.Quantity(1, 5)
        self.is_long = False
        self.orders_sent = 0

    def on_start(self) -> None:
        self.register_indicator_for_bars(BAR_TYPE, self.fast)
        self.register_indicator_for_bars(BAR_TYPE, self.slow)
        self.subscribe_bars(BAR_TYPE)

    def on_bar(self, bar: Any) -> None:
        if not self.slow.initialized:
            return
        wants_long = self.fast.value > self.slow.value
        if wants_long is self.is_long:
            return
        side = enums.OrderSide.BUY if wants_long else enums.OrderSide.SELL
        self.submit_order(self.order_factory.market(self.traded, side, self.quantity))
        self.is_long = wants_long
        self.orders_sent += 1


def _engine() -> Any:
    built = engines.BacktestEngine(
        engines.BacktestEngineConfig(
            logging=settings.LoggingConfig(bypass_logging=True),
            run_analysis=False,
            risk_engine=settings.RiskEngineConfig(bypass=True),
        )
    )
    built.add_venue(
        venue=VENUE,
        oms_type=enums.OmsType.NETTING,
        account_type=enums.AccountType.MARGIN,
        base_currency=None,
        starting_balances=[objects.Money(1e8, USDT), objects.Money(0, BTC)],
    )
    return built


def _prepare() -> tuple[Work, dict[str, Any]]:
    with np.load(sys.argv[1]) as bars:
        columns = {name: bars[name] for name in ("open", "high", "low", "close", "volume")}
        frame = pandas.DataFrame(columns, index=pandas.to_datetime(bars["ts"], unit="ms", utc=True))
    pair = _pair()
    built, strategy = _engine(), _Cross(pair.id)
    built.add_instrument(pair)
    built.add_data(wranglers.BarDataWrangler(BAR_TYPE, pair).process(frame))
    built.add_strategy(strategy)

    def work() -> dict[str, Any]:
        built.reset()
        strategy.is_long, strategy.orders_sent = False, 0
        built.run()
        account = built.portfolio.account(VENUE)
        return {
            "orders": strategy.orders_sent,
            "equity": round(account.balance_total(USDT).as_double(), 1),
        }

    return work, {"units": len(frame)}


if __name__ == "__main__":
    serve(f"nautilus_trader {nautilus.__version__}", _prepare)
