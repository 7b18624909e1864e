"""Enumerations that messages carry. Unknown values are refused at decoding, never defaulted."""

from enum import StrEnum
from typing import Self


class Side(StrEnum):
    """The direction of an order or fill."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is BUY else -1

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return SELL if self is BUY else BUY


class OrderType(StrEnum):
    """How an order is priced, and what wakes it."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"  # A market order once the price has moved against it to the trigger: a buy at or above, a sell below.
    STOP_LIMIT = "stop_limit"  # The same trigger, then a limit order.
    TAKE_PROFIT = (
        "take_profit"  # A market order once the price has moved for it: a buy at or below, a sell above.
    )
    TAKE_PROFIT_LIMIT = "take_profit_limit"  # The same trigger, then a limit order.
    TRAILING_STOP = "trailing_stop"  # A stop whose trigger follows the best price at a fixed distance.

    @property
    def has_limit(self) -> bool:
        """Whether it carries a limit price."""
        return self in (LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT)

    @property
    def has_trigger(self) -> bool:
        """Whether it carries a trigger price; a trailing stop makes its own, and may carry one to start from."""
        return self not in (MARKET, LIMIT, OrderType.TRAILING_STOP)

    @property
    def is_conditional(self) -> bool:
        """Whether it waits for a trigger before it can fill."""
        return self not in (MARKET, LIMIT)


class TimeInForce(StrEnum):
    """How long an order works."""

    GTC = "gtc"  # Until filled or canceled.
    IOC = "ioc"  # What does not fill at once is canceled.
    FOK = "fok"  # All at once, or canceled.
    GTD = "gtd"  # Until filled, canceled, or its expiry time.


class OrderStatus(StrEnum):
    """Where an order is in its life; `core/orders.py` holds the legal moves."""

    SENT = "sent"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class InstrumentKind(StrEnum):
    """What a unit of the instrument is."""

    SPOT = "spot"  # The asset itself: what is sold must be held.
    LINEAR = "linear"  # A contract settled in the quote asset: may be sold short.


class TradingState(StrEnum):
    """The kill switch's states; whatever is not readable counts as HALTED."""

    ACTIVE = "active"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class Severity(StrEnum):
    """How urgent an alert is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class _Explained(StrEnum):
    """A string enum whose members carry a sentence; the reference tables in docs/ are generated from it."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class RefusalReason(_Explained):
    """Why a proposal or an intent was refused before it reached a venue."""

    KILL_SWITCH_HALTED = "KILL_SWITCH_HALTED", "The kill switch is tripped: only cancels pass."
    KILL_SWITCH_REDUCE_ONLY = (
        "KILL_SWITCH_REDUCE_ONLY",
        "The kill switch lets only orders pass that shrink the position.",
    )
    KILL_SWITCH_UNKNOWN = (
        "KILL_SWITCH_UNKNOWN",
        "No kill switch state is known, or the last one is too old: treated as tripped.",
    )
    INTENT_MALFORMED = (
        "INTENT_MALFORMED",
        "A quantity or price is not a positive whole number of lots or ticks.",
    )
    INTENT_DUPLICATE = "INTENT_DUPLICATE", "An intent with this id was decided before."
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED", "The instrument is not on the profile's list."
    QTY_BELOW_MIN = "QTY_BELOW_MIN", "The quantity is below the instrument's smallest order."
    QTY_ABOVE_MAX = "QTY_ABOVE_MAX", "The quantity is above the instrument's largest order."
    NOTIONAL_BELOW_MIN = "NOTIONAL_BELOW_MIN", "The order is worth less than the venue's minimum notional."
    PRICE_UNKNOWN = "PRICE_UNKNOWN", "No reference price is known, so no limit can be checked."
    PRICE_STALE = "PRICE_STALE", "The last price is older than the profile allows."
    PRICE_OUTSIDE_COLLAR = "PRICE_OUTSIDE_COLLAR", "The limit price is too far from the reference price."
    NOTIONAL_EXCEEDS_CAP = "NOTIONAL_EXCEEDS_CAP", "The order's notional is above the cap for one order."
    POSITION_EXCEEDS_CAP = (
        "POSITION_EXCEEDS_CAP",
        "Position plus working orders would exceed the cap for one instrument.",
    )
    GROSS_EXCEEDS_CAP = "GROSS_EXCEEDS_CAP", "The sum of all exposures would exceed the account's cap."
    OPEN_ORDERS_EXCEED_CAP = "OPEN_ORDERS_EXCEED_CAP", "Too many orders are working already."
    ORDER_RATE_EXCEEDED = "ORDER_RATE_EXCEEDED", "Too many orders within a minute, for the account."
    STRATEGY_RATE_EXCEEDED = "STRATEGY_RATE_EXCEEDED", "Too many orders within a minute, for this strategy."
    DAILY_LOSS_EXCEEDED = (
        "DAILY_LOSS_EXCEEDED",
        "The UTC day's loss, open positions and fees included, has reached its limit.",
    )
    COOLING_DOWN = "COOLING_DOWN", "A losing round trip was closed too recently."
    CASH_INSUFFICIENT = "CASH_INSUFFICIENT", "The order costs more than the free cash."
    NAKED_SHORT = "NAKED_SHORT", "The sale exceeds what is held, and the account may not sell short."
    REDUCE_ONLY_INCREASES = "REDUCE_ONLY_INCREASES", "A reduce-only order would grow or flip the position."
    WARM_UP = "WARM_UP", "The strategy's declared warm-up has not ended yet."
    TARGET_BELOW_LOT = "TARGET_BELOW_LOT", "The target asks for less than one lot."
    STRATEGY_SUSPENDED = "STRATEGY_SUSPENDED", "The strategy raised an error and was suspended."
    ORDER_NOT_FOUND = (
        "ORDER_NOT_FOUND",
        "The order to cancel or amend is not working, or belongs to another strategy.",
    )
    ENTRY_NOT_WORKING = (
        "ENTRY_NOT_WORKING",
        "The order that this one waits for is not working, or can not be closed by it.",
    )
    GROUP_INVALID = "GROUP_INVALID", "Orders of one group must be of one instrument, side and strategy."
    EXPIRY_PAST = "EXPIRY_PAST", "The order would expire before it could be sent."
    AMEND_INVALID = (
        "AMEND_INVALID",
        "The amendment changes nothing, or asks for less than has filled already.",
    )


class OrderReason(_Explained):
    """Why an order came to its end at the venue, or changed its state."""

    NONE = "", "Nothing to explain: accepted or filled."
    INSUFFICIENT_FUNDS = (
        "INSUFFICIENT_FUNDS",
        "At its fill the order cost more than the account's free funds.",
    )
    END_OF_DATA = "END_OF_DATA", "The run ended while the order was working."
    CANCEL_REQUESTED = "CANCEL_REQUESTED", "Canceled as asked."
    IOC_REMAINDER = "IOC_REMAINDER", "An immediate-or-cancel order could not fill at once."
    FILTER_PRICE = "FILTER_PRICE", "The venue refused the price."
    FILTER_QTY = "FILTER_QTY", "The venue refused the quantity."
    FILTER_NOTIONAL = "FILTER_NOTIONAL", "The venue refused the notional."
    DUPLICATE_ID = "DUPLICATE_ID", "The venue has seen this client order id before."
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN", "Sent, and no answer came."
    APPROVAL_EXPIRED = (
        "APPROVAL_EXPIRED",
        "The gate's approval was too old to be sent; the venue never saw it.",
    )
    REDUCE_ONLY = "REDUCE_ONLY", "A reduce-only order would have grown or flipped the position at its fill."
    POST_ONLY_WOULD_TAKE = "POST_ONLY_WOULD_TAKE", "A post-only order would have taken at its arrival."
    FOK_UNFILLED = "FOK_UNFILLED", "A fill-or-kill order could not fill in full at once."
    NO_LIQUIDITY = "NO_LIQUIDITY", "A market order found nobody left to trade with."
    GTD_EXPIRED = "GTD_EXPIRED", "Its expiry time came."
    OCO_SIBLING = "OCO_SIBLING", "Another order of its group filled."
    ENTRY_ENDED = "ENTRY_ENDED", "The order that it waited for ended without a fill."
    SELF_TRADE = "SELF_TRADE", "It would have traded with an order of the same account."
    TRIGGERED = "TRIGGERED", "Its trigger was reached: it works now."
    FILTER_TRIGGER = "FILTER_TRIGGER", "The venue refused the trigger price."
    AMENDED = "AMENDED", "Amended as asked."
    AMEND_REFUSED = "AMEND_REFUSED", "The venue refused the amendment; the order stands as it was."
    LIQUIDATED = "LIQUIDATED", "The venue closed the position because margin ran out."
    NEVER_ARRIVED = (
        "NEVER_ARRIVED",
        "The venue does not know the order, and it can not arrive any more: its time window has passed.",
    )
    VENUE_REFUSED = (
        "VENUE_REFUSED",
        "The venue refused for another reason; the detail has its code and words.",
    )
    VENUE_CANCELED = "VENUE_CANCELED", "The venue, or the account's owner by hand, ended the order."
    TYPE_NOT_OFFERED = "TYPE_NOT_OFFERED", "The venue has no orders of this kind; nothing was sent."
    RATE_LIMITED = "RATE_LIMITED", "The venue's order or request budget was used up; nothing was sent."
    VENUE_NOT_READY = "VENUE_NOT_READY", "The connection to the venue was not reconciled; nothing was sent."
    SYMBOL_HALTED = "SYMBOL_HALTED", "The venue has stopped trading the symbol."
    LIVE_LOCK = (
        "LIVE_LOCK",
        "A live lock was closed, or the order above the first-orders cap; nothing was sent.",
    )


# Python 3.11 takes 75 ns to look a member up on its class and 8 ns to look up a name: the order path uses these.
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
ACTIVE = TradingState.ACTIVE
