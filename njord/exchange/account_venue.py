"""One account's orders at the simulated venue: the market's rules there, the money here.

Orders go in with their numbers, reports come out. The exchange has checked filters and locked funds before; the venue is
told of no minima, and knows an order by a reference of ours, because it takes no name twice and the dialect does.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec
from msgspec import UNSET

from njord.core.contracts import BrokerCancelReq, BrokerOrderReq, BrokerReject, BrokerReport
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import OrderType, Side, TimeInForce
from njord.core.units import ZERO
from njord.exchange.market import PublicMarket
from njord.exchange.options import ExchangeOptions
from njord.exchange.orders import Order
from njord.exchange.wallet import Wallet, WalletAccount, WalletFees
from njord.venues.fees import FeeModel
from njord.venues.simulated import SimulatedVenue
from njord.venues.terms import VenueTerms
from njord.venues.tick_market import TickMarket
from njord.venues.working import Working

_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
}


class AccountVenue(SimulatedVenue):
    """The simulated venue with a wallet as its account.

    Args:
        market: What the orders meet; a pass of its own is taken of each instrument.
        options: Fees, queue model, self-trades.
        wallet: Who pays.
        price_of: What one unit of an asset is worth in a quote asset; None if nobody knows.

    Attributes:
        fees: What fills cost from now on.
    """

    def __init__(
        self,
        market: PublicMarket,
        options: ExchangeOptions,
        wallet: Wallet,
        price_of: Callable[[str, str], Decimal | None],
    ) -> None:
        model = FeeModel(maker_bps=options.maker_bps, taker_bps=options.taker_bps, fee_asset="received")
        terms = VenueTerms(self_trade=options.self_trade, slippage_bps=options.slippage_bps)
        traded = _without_minima(market.instruments)
        super().__init__(traded, model, terms, ZERO, traded[0].quote)
        self.fees = WalletFees(model, wallet, price_of)
        self._meter = self.fees
        self._books = WalletAccount(traded, self.marks, terms, wallet, self.fees)
        self.account = self._books
        for index in range(len(traded)):
            rows = market.venue_rows(index)
            self.add_market(index, TickMarket(rows, queue_model=options.queue_model, partial_fills=True))

    def execute(self, order: Working, lots: int, price_ticks: int, is_maker: bool, ts_venue_ns: int) -> bool:
        """Fill `lots` of an order; see Desk.execute."""
        self._books.filling = lock_name(order.req.client_order_id)
        return super().execute(order, lots, price_ticks, is_maker, ts_venue_ns)

    def submit(self, order: Order, now_ns: int) -> list[BrokerReport]:
        """Let what is left of an order into the market; return what that made happen."""
        ticket = order.ticket
        kind = _TYPES[ticket.type]
        is_woken = order.is_working and kind.is_conditional  # It comes again, after a halt.
        if is_woken:
            kind = OrderType.LIMIT if ticket.limit_ticks else OrderType.MARKET
        answer = self.place(
            BrokerOrderReq(
                instrument=ticket.rules.index,
                symbol=ticket.rules.instrument.symbol,
                side=Side(ticket.side.lower()),
                type=kind,
                tif=TimeInForce(ticket.tif.lower()),
                qty_lots=order.left_lots,
                limit_price_ticks=ticket.limit_ticks,
                reduce_only=False,
                client_order_id=order.reference,
                ts_ns=now_ns,
                post_only=ticket.type == "LIMIT_MAKER",
                trigger_price_ticks=0 if is_woken else ticket.trigger_ticks,
            )
        )
        if isinstance(answer, BrokerReject):
            raise InvariantError(f"the venue refused an order that was checked: {answer.reason}")
        return self.take(now_ns)

    def withdraw(self, order: Order, now_ns: int) -> list[BrokerReport]:
        """Take an order out of the market; return what that made happen."""
        symbol = order.ticket.rules.instrument.symbol
        self.cancel(BrokerCancelReq(symbol=symbol, client_order_id=order.reference, ts_ns=now_ns))
        return self.take(now_ns)


def lock_name(reference: str) -> str:
    """Return the name of an order's lock from any of its references: its number."""
    return reference.partition(".")[0]


def _without_minima(instruments: Sequence[Instrument]) -> list[Instrument]:
    return [
        msgspec.structs.replace(
            each,
            min_qty=ZERO,
            max_qty=ZERO,
            min_notional=ZERO,
            filter_changes=(),
            max_market_qty=UNSET,
            max_open_orders=UNSET,
            buy_band=UNSET,
            sell_band=UNSET,
        )
        for each in instruments
    ]
