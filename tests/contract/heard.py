"""What does the engine hear of a venue, in the cards' words? Its messages in, lines without ids and times out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from njord.core.account import SpotAccount
from njord.core.contracts import (
    EXTERNAL_OWNER,
    Alert,
    AmendEvent,
    BalanceAdjusted,
    BalanceSnapshot,
    BrokerFill,
    BrokerOrderUpdate,
    CancelEvent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderUpdate,
)
from njord.core.instrument import Instrument
from njord.core.types import OrderReason
from njord.core.units import FOREVER_NS, plain
from njord.portfolio.ledger import Ledger
from tests.contract.cards import BTC, Amend, Order

ACCOUNT = "main"
_HEARD = (OrderUpdate, FillEvent, BalanceAdjusted, KillSwitchState, Alert)


class Ear:
    """An engine that decides nothing: it books fills and keeps what it was told.

    Attributes:
        lines: What was heard.
        names: The card's name of each of its orders, by id.
        ignored: Ids of orders of no interest.
        journal: All messages, as a session's journal has them.
        account: Our books.
    """

    def __init__(self, cash: Decimal) -> None:
        self.account = SpotAccount([BTC], "USDT", cash)
        self._ledger = Ledger(self.account, 1).handlers()
        self.lines: list[str] = []
        self.journal: list[Message] = []
        self.names: dict[str, str] = {}
        self.ignored: set[str] = set()
        self.is_deaf = False
        self._connection = ""

    def step(self, message: Message) -> list[Message]:
        """Take a message; nothing follows from it."""
        handle = self._ledger.get(type(message))
        if handle is not None:
            handle(message)
        self.journal.append(message)
        is_of_interest = getattr(message, "client_order_id", "") not in self.ignored
        if isinstance(message, _HEARD) and is_of_interest and not self.is_deaf:
            self._hear(line_of(message, self.names), isinstance(message, KillSwitchState))
        return [message]

    # A connection that is halted for one reason may find other words for it.
    def _hear(self, line: str, is_connection: bool) -> None:
        if is_connection:
            if line == self._connection:
                return
            self._connection = line
        self.lines.append(line)


# --- messages in ------------------------------------------------------------------------------------------------------


def order_event(order: Order, client_order_id: str, ts_ns: int) -> OrderEvent:
    """Return a card's order as the gate approves it."""
    return OrderEvent(
        ts_ns=ts_ns,
        instrument=0,
        account_id=ACCOUNT,
        strategy_id="cards",
        intent_id=client_order_id,
        client_order_id=client_order_id,
        side=order.side,
        type=order.type,
        tif=order.tif,
        qty_lots=lots(order.qty),
        limit_price_ticks=ticks(order.price),
        trigger_price_ticks=ticks(order.trigger),
        trail_ticks=ticks(order.trail),
        post_only=order.post_only,
        expire_ns=ts_ns + order.lasts_s * 10**9 if order.lasts_s else 0,
        decision_seq=1,
        limits_version=1,
        expires_ns=FOREVER_NS,
    )


def cancel_event(client_order_id: str, ts_ns: int) -> CancelEvent:
    """Return a card's cancel as the gate approves it."""
    return CancelEvent(
        ts_ns=ts_ns,
        instrument=0,
        account_id=ACCOUNT,
        strategy_id="cards",
        intent_id="cancel",
        client_order_id=client_order_id,
        decision_seq=1,
    )


def amend_event(amend: Amend, client_order_id: str, ts_ns: int) -> AmendEvent:
    """Return a card's amendment as the gate approves it."""
    return AmendEvent(
        ts_ns=ts_ns,
        instrument=0,
        account_id=ACCOUNT,
        strategy_id="cards",
        intent_id="amend",
        client_order_id=client_order_id,
        qty_lots=lots(amend.qty),
        limit_price_ticks=ticks(amend.price),
        decision_seq=1,
    )


def ticks(price: str) -> int:
    """Return a price in ticks; 0 where there is none."""
    return int(Decimal(price or 0) / BTC.tick_size)


def lots(qty: str) -> int:
    """Return a quantity in lots; 0 where there is none."""
    return int(Decimal(qty or 0) / BTC.lot_size)


# --- messages out -----------------------------------------------------------------------------------------------------


def line_of(message: Message, names: Mapping[str, str]) -> str:
    """Return a message in the cards' words."""
    if isinstance(message, OrderUpdate):
        return _update_line(message, names)
    if isinstance(message, FillEvent):
        return _fill_line(message, names)
    if isinstance(message, BalanceAdjusted):
        return f"books: {plain(message.amount)} {message.asset} adjusted"
    if isinstance(message, KillSwitchState):
        reason = message.reason.partition(":")[0]
        return f"connection: {message.state.value}" + (f" ({reason})" if reason else "")
    assert isinstance(message, Alert)
    return f"alert: {message.title}"


def _update_line(update: OrderUpdate, names: Mapping[str, str]) -> str:
    reason = f" {update.reason.value}" if update.reason is not OrderReason.NONE else ""
    filled = f", {qty_text(update.filled_lots)} filled" if update.filled_lots else ""
    holds = ""
    if update.qty_lots:
        holds = f", holds {qty_text(update.qty_lots)} at {price_text(update.limit_price_ticks)}"
    return f"{names.get(update.client_order_id, 'other')} {update.status.value}{reason}{filled}{holds}"


def _fill_line(fill: FillEvent, names: Mapping[str, str]) -> str:
    owner = "owner's hand" if fill.strategy_id == EXTERNAL_OWNER else names.get(fill.client_order_id, "other")
    verb = "buys" if fill.side.sign > 0 else "sells"
    role = "maker" if fill.is_maker else "taker"
    return (
        f"{owner} {verb} {qty_text(fill.qty_lots)} at {price_text(fill.price_ticks)}, {role}, "
        f"fee {plain(fill.fee)} {fill.fee_asset}"
    )


def qty_text(qty_lots: int) -> str:
    """Return a quantity."""
    return plain(BTC.qty(qty_lots))


def price_text(price_ticks: int) -> str:
    """Return a price."""
    return plain(BTC.price(price_ticks))


# --- answers to questions -----------------------------------------------------------------------------------------------


def state_line(update: BrokerOrderUpdate | None, names: Mapping[str, str]) -> str:
    """Return what the broker says of one order; the reason is left out: a venue that is asked does not say it."""
    if update is None:
        return "no such order"
    limit = f", at {price_text(update.limit_price_ticks)}" if update.limit_price_ticks else ""
    return (
        f"{names.get(update.client_order_id, 'other')} is {update.status.value}, "
        f"{qty_text(update.filled_lots)} of {qty_text(update.qty_lots)} filled{limit}"
    )


def trade_line(fill: BrokerFill, names: Mapping[str, str]) -> str:
    """Return a trade of the broker's list."""
    return (
        f"trade of {names.get(fill.client_order_id, 'other')}: {qty_text(fill.qty_lots)} "
        f"at {price_text(fill.price_ticks)}, fee {plain(fill.fee)} {fill.fee_asset}"
    )


def balance_lines(balances: Sequence[BalanceSnapshot]) -> list[str]:
    """Return what an account holds, by asset."""
    return [
        f"{each.asset}: {plain(each.free)} free, {plain(each.locked)} locked"
        for each in sorted(balances, key=lambda each: each.asset)
        if each.free or each.locked
    ]


def rule_line(rules: Instrument) -> str:
    """Return an instrument's rules."""
    return (
        f"{rules.symbol}: tick {plain(rules.tick_size)}, lot {plain(rules.lot_size)}, "
        f"{plain(rules.min_qty)} to {plain(rules.max_qty)}, notional {plain(rules.min_notional)} at least"
    )
