"""What is compiled at a first order would keep everybody waiting: seconds, half a minute on a busy machine,
in which nobody is answered.

So a venue trades a little before it serves, on a market and an account of its own that are thrown away.
"""

from decimal import Decimal

from njord.core.instrument import Instrument
from njord.core.types import OrderType, Side
from njord.core.units import NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.synthetic_market import SyntheticMarket

_NAME = "rehearsal"


def rehearse(now_ns: int) -> None:
    """Take, rest, and cancel, on both sides, so that everything an order needs is compiled."""
    coin = Instrument(
        symbol="COIN/USDT",
        venue="binanceus",
        base="COIN",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(1),
    )
    market = SyntheticMarket([coin], 1, now_ns)
    balances = {"COIN": Decimal(1_000_000), "USDT": Decimal(1_000_000_000)}
    account = AccountSpec(name=_NAME, key=_NAME, secret=_NAME, balances=balances)
    exchange = Exchange(market, [account], ExchangeOptions(), now_ns)
    exchange.advance(now_ns + NS_PER_S)
    hand, symbol, ticks = exchange.operator, "COINUSDT", market.last_price_ticks(0)
    for side, away in ((Side.BUY, ticks * 9 // 10), (Side.SELL, ticks * 11 // 10)):
        hand.place_by_hand(_NAME, symbol, side, OrderType.MARKET, Decimal(1))
        hand.place_by_hand(
            _NAME, symbol, side, OrderType.LIMIT, Decimal(1), coin.price(away), f"rests-{side.value}"
        )
    exchange.advance(now_ns + 2 * NS_PER_S)
    for side in (Side.BUY, Side.SELL):
        hand.cancel_by_venue(_NAME, f"rests-{side.value}")
