"""The unmodified `ccxt.pro.binanceus` beside a local exchange on real sockets, and the truth ledger in CCXT's words.

CCXT is as installed; what a test sets is its option `urls`, and no address in it leads anywhere but to the exchange.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from typing import Any

from njord.adapters.clock import WallClock
from njord.core.units import NS_PER_S
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.market import PublicMarket
from njord.exchange.market_klines import NS_PER_HOUR
from njord.exchange.market_tape import TRADE_BUY, TRADE_SELL, block_of, change_rows
from njord.exchange.server import Address, serve
from njord.exchange.synthetic_market import SyntheticMarket, SyntheticTerms
from njord.exchange.wire import Request, Response
from tests.unit.exchange.faulty_exchange import BTC

SYMBOL, ID = "BTC/USDT", "BTCUSDT"
KEY, SECRET = "toykeyofnoworth", "toysecretofnoworth"
BALANCES = {"BTC": Decimal(5), "USDT": Decimal(500_000)}
ACCOUNT = AccountSpec(name="main", key=KEY, secret=SECRET, balances=BALANCES)
LOTS = 100_000  # A whole BTC.
WITHIN_S = 120.0
_POLL_S = 0.02
_STATUSES = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "closed",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}


def local_urls(theirs: Mapping[str, Any], address: Address) -> dict[str, Any]:
    """Return the option `urls`: the exchange where it serves, and where it does not a place of it that is none."""

    def nowhere(api: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: nowhere(url) if isinstance(url, Mapping) else f"{address.rest}/nowhere/{name}"
            for name, url in api.items()
        }

    api = nowhere(theirs)
    api["public"] = api["private"] = api["v3"] = f"{address.rest}/api/v3"
    api["ws"]["spot"] = f"{address.ws}/stream/ws"
    api["ws"]["ws-api"]["spot"] = f"{address.ws}/ws-api/v3"
    return {"api": api}


class World:
    """An exchange, and a client of CCXT at it.

    Attributes:
        exchange: Moves with the wall clock.
        client: CCXT's, its markets loaded.
    """

    def __init__(self, exchange: Exchange, client: Any) -> None:
        self.exchange = exchange
        self.client = client

    @property
    def truth(self) -> dict[str, Any]:
        """What really happened to the account."""
        ledger: dict[str, Any] = self.exchange.truth()["accounts"]["main"]
        return ledger

    def price(self, factor: float) -> float:
        """Return a price so far from the last one, on the grid."""
        last = float(BTC.price(self.exchange.market.last_price_ticks(0)))
        return float(self.client.price_to_precision(SYMBOL, last * factor))

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for a state."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                await asyncio.sleep(_POLL_S)


def synthetic(age_s: int = 10, orders_per_s: float = 4.0, **options: Any) -> Exchange:
    """Return an exchange of some age, its market drawn from a seed."""
    begin_ns = WallClock().now_ns() - age_s * NS_PER_S
    terms = SyntheticTerms(levels=20, orders_per_s=orders_per_s)
    market = SyntheticMarket([BTC], 5, begin_ns, terms=terms)
    return Exchange(market, [ACCOUNT], ExchangeOptions(**options), begin_ns)


class Leaping(Exchange):
    """An exchange whose market stands at 100 until a test lets an hour pass at once, its clock as seen from outside apart.

    In that hour the price falls: 0.6 BTC are sold at 97.50, then 0.2 at 94.50, and the book stands around that.
    """

    def __init__(self) -> None:
        begin_ns = WallClock().now_ns() - NS_PER_S
        later_ns = begin_ns + NS_PER_HOUR
        rows = [
            *change_rows(begin_ns, 1, 1, [(9_900, LOTS), (9_800, LOTS)], [(10_100, LOTS), (10_200, LOTS)]),
            (TRADE_BUY, begin_ns, 10_000, LOTS, 1, 1, 1),
            *change_rows(later_ns, 2, 2, [(9_900, 0), (9_800, 0)], []),
            (TRADE_SELL, later_ns, 9_750, 6 * LOTS // 10, 2, 2, 1),
            *change_rows(later_ns, 3, 3, [(9_400, LOTS)], [(9_500, LOTS)]),
            (TRADE_SELL, later_ns, 9_450, 2 * LOTS // 10, 3, 3, 1),
        ]
        market = PublicMarket([BTC], [lambda: iter([block_of(rows)])], begin_ns)
        super().__init__(market, [ACCOUNT], ExchangeOptions(has_trigger_market_orders=True), begin_ns)
        self._ahead_ns = 0

    def leap(self) -> None:
        """Let the hour pass."""
        self._ahead_ns = NS_PER_HOUR
        self.operator.set_clock_offset_ns(-NS_PER_HOUR)

    @property
    def next_ns(self) -> int:
        """When something happens next by itself, as seen from outside."""
        return super().next_ns - self._ahead_ns

    def advance(self, now_ns: int) -> None:
        """Let everything happen until a time."""
        super().advance(now_ns + self._ahead_ns)

    def request(self, request: Request, now_ns: int) -> Response:
        """Answer a request."""
        return super().request(request, now_ns + self._ahead_ns)

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Take what a connection said."""
        super().said(connection, text, now_ns + self._ahead_ns)


def with_ccxt(do: Callable[[World], Awaitable[None]], exchange: Exchange) -> None:
    """Run a conversation of CCXT with an exchange."""
    pro = import_module("ccxt.pro")

    async def talk() -> None:
        exchange.advance(WallClock().now_ns())
        async with serve(exchange, port=0) as address:
            urls = local_urls(pro.binanceus().urls["api"], address)
            client = pro.binanceus({"apiKey": KEY, "secret": SECRET, "urls": urls})
            try:
                await client.load_markets()
                await asyncio.wait_for(do(World(exchange, client)), WITHIN_S)
            finally:
                await client.close()

    asyncio.run(talk())


# --- the truth ledger and CCXT in the same words ---


def exact(number: float | None) -> Decimal:
    """Return the decimal number that a float was read from; 0 for none."""
    return Decimal(repr(number or 0)).normalize()


def order_said(order: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what CCXT says of an order."""
    return (
        order["id"],
        order["clientOrderId"],
        order["side"],
        order["status"],
        exact(order["price"]) if order["info"].get("type", order["info"].get("o")) not in MARKETS else None,
        exact(order["amount"]),
        exact(order["filled"]),
    )


def order_true(order: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the same of an order of the ledger."""
    return (
        str(order["order_id"]),
        order["client_order_id"],
        order["side"].lower(),
        _STATUSES[order["status"]],
        Decimal(order["price"]).normalize() if order["type"] not in MARKETS else None,
        Decimal(order["orig_qty"]).normalize(),
        Decimal(order["executed_qty"]).normalize(),
    )


# CCXT gives these the average price of their fills.
MARKETS = ("MARKET", "STOP_LOSS", "TAKE_PROFIT")


def trade_said(trade: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what CCXT says of a fill."""
    return (
        trade["id"],
        trade["order"],
        trade["side"],
        exact(trade["price"]),
        exact(trade["amount"]),
        exact(trade["cost"]),
        exact(trade["fee"]["cost"]),
        trade["fee"]["currency"],
        trade["takerOrMaker"],
        trade["timestamp"],
    )


def trade_true(trade: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the same of a fill of the ledger."""
    return (
        str(trade["trade_id"]),
        str(trade["order_id"]),
        trade["side"].lower(),
        *(Decimal(trade[name]).normalize() for name in ("price", "qty", "quote_qty", "commission")),
        trade["commission_asset"],
        "maker" if trade["is_maker"] else "taker",
        trade["ts_ns"] // 1_000_000,
    )


def balances_said(balance: Mapping[str, Any], assets: Sequence[str] = tuple(BALANCES)) -> dict[str, object]:
    """Return what CCXT says of free and locked money."""
    return {asset: (exact(balance[asset]["free"]), exact(balance[asset]["used"])) for asset in assets}


def balances_true(truth: Mapping[str, Any]) -> dict[str, object]:
    """Return the same of the ledger."""
    return {
        asset: (Decimal(each["free"]).normalize(), Decimal(each["locked"]).normalize())
        for asset, each in truth["balances"].items()
    }
