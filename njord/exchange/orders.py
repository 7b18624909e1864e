"""What is an order at this exchange? Orders and trades as the dialect sees them, with their exact sums."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from njord.core.units import ZERO
from njord.exchange.rules import SymbolRules


class Status(StrEnum):
    """Where an order is in its life, in the dialect's words."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"  # It would have traded with an order of the same account.


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was asked for, its numbers checked and in ticks and lots.

    Attributes:
        rules: Of its symbol.
        client_id: Its owner's name for it; a cancel with an id of its own does not change it.
        side: BUY or SELL.
        type: Of the dialect, such as LIMIT_MAKER.
        tif: GTC, IOC or FOK.
        qty_lots: How much; of an order by quote, what that buys or sells now.
        limit_ticks: 0 where there is none.
        trigger_ticks: 0 where there is none.
        quote_qty: Of an order by quote; 0 of others.
    """

    rules: SymbolRules
    client_id: str
    side: str
    type: str
    tif: str = "GTC"
    qty_lots: int
    limit_ticks: int = 0
    trigger_ticks: int = 0
    quote_qty: Decimal = ZERO


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One fill of one order; times are the exchange's clock."""

    trade_id: int
    order: "Order"
    price_ticks: int
    qty_lots: int
    quote_qty: Decimal
    commission: Decimal
    commission_asset: str
    is_maker: bool
    ts_ns: int


class Order(msgspec.Struct, kw_only=True, eq=False):
    """An order from its placement on.

    Attributes:
        order_id: The exchange's number, never used again.
        account: Whose.
        ticket: What was asked for.
        reference: What the simulated venue knows it by now.
        is_working: Whether it is in the book: a triggered order only from its trigger on.
    """

    order_id: int
    account: str
    ticket: Ticket
    placed_ns: int
    updated_ns: int
    working_ns: int
    reference: str
    is_working: bool
    status: Status = Status.NEW
    executed_lots: int = 0
    quote_filled: Decimal = ZERO
    ended_ns: int = 0
    trades: list[Trade] = []

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in (Status.NEW, Status.PARTIALLY_FILLED)

    @property
    def left_lots(self) -> int:
        """What has not filled."""
        return self.ticket.qty_lots - self.executed_lots


class Execution(StrEnum):
    """What an execution report is about."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    TRADE = "TRADE"
    EXPIRED = "EXPIRED"


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an order.

    Attributes:
        what: Which kind of report says it.
        order: As it is right after.
        ts_ns: When, by the exchange's clock.
        trade: Of a TRADE.
        cancel_id: Of a CANCELED: the cancel's own client id.
        reject_reason: Of a REJECTED.
    """

    what: Execution
    order: Order
    ts_ns: int
    trade: Trade | None = None
    cancel_id: str = ""
    reject_reason: str = "NONE"


class Balanced(msgspec.Struct, frozen=True):
    """Balances of some assets have changed, by whatever."""

    assets: tuple[str, ...]
    ts_ns: int


class Transferred(msgspec.Struct, frozen=True):
    """A deposit, or a withdrawal if the amount is negative."""

    asset: str
    amount: Decimal
    ts_ns: int


Event = Happened | Balanced | Transferred
