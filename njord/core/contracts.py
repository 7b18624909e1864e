"""Every message that the engine reads or writes, and the structs of the broker port; all immutable.

Times are nanoseconds since the epoch, UTC. `ts_ns` is engine time: when it became known; `ts_venue_ns` is the
venue's own. Prices are whole ticks and quantities whole lots of `RunStarted.instruments[instrument]`, each of which
is one symbol at one venue; money is Decimal. A default is part of the wire format: it may never change, and fields
are only appended. Every intent ends in exactly one terminal message: a RiskDecision that refuses it, or an
OrderUpdate whose status is terminal.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from njord.core.instrument import Instrument
from njord.core.types import (
    OrderReason,
    OrderStatus,
    OrderType,
    RefusalReason,
    Severity,
    Side,
    TimeInForce,
    TradingState,
)
from njord.core.units import ratio

SCHEMA_VERSION = 1
VENUE = "(venue)"  # The owner of what the venue does on its own, such as a liquidation.
EXTERNAL_OWNER = (
    "(external)"  # The owner of what the account's owner does beside njord, such as an order by hand.
)
NO_PRICE = 0  # A market order carries no price; ticks of real prices start at 1.

Positive = Annotated[int, msgspec.Meta(gt=0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


# NaN and infinity are decimals to a decoder, and no money: a message that holds them can not come into being.
def _refuse_not_finite(*amounts: Decimal) -> None:
    for amount in amounts:
        if not amount.is_finite():
            raise ValueError(f"an amount of money must be finite, was {amount}")


class Message(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    tag_field="kind",
    tag=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """What all messages share. `schema` is written only where it is not 1."""

    ts_ns: int
    schema: int = SCHEMA_VERSION


# --- the run ----------------------------------------------------------------------------------------------------


class StrategySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One strategy of a run: its id, the class it runs, its parameters as canonical JSON, its instruments."""

    strategy_id: str
    name: str
    params: str
    instruments: tuple[int, ...]
    source_hash: str


class RunStarted(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The first record of every journal: what decides, on what, under which limits."""

    run_id: str
    config_hash: str
    code_hash: str
    seed: int
    account_id: str
    report_asset: str
    capital: Decimal
    instruments: tuple[Instrument, ...]
    strategies: tuple[StrategySpec, ...]
    risk_profile: str
    limits_version: int = 1

    def __post_init__(self) -> None:
        _refuse_not_finite(self.capital)


class ConfigChanged(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The only way a limit changes while running; `diff` names the keys, before and after."""

    config_hash: str
    limits_version: int
    diff: str


class KillSwitchState(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A reading of the kill switch; older than `valid_until_ns` it counts as tripped."""

    state: TradingState
    source: str
    valid_until_ns: int
    reason: str = ""
    operator: str = ""
    cancels: bool = False  # Working orders are to be canceled; while REDUCE_ONLY those that only reduce stay.
    flattens: bool = False  # Positions are to be closed, once nothing works any more.


class Alert(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """Something that a person should know: an edge says it, it is journaled, and decides nothing.

    `title` is one line without numbers, so that repeats can be told; `labels` hold what differs.
    """

    severity: Severity
    category: str  # Of what: system, risk, performance, execution, killswitch or security.
    source: str  # Who says it: `gateway`, `kill_switch`, a service's name.
    title: str
    message: str = ""
    labels: tuple[tuple[str, str], ...] = ()


class Ref(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The next market data comes from rows `first_row` to `last_row` (inclusive) of a hashed dataset.

    The rows themselves are counted in the journal's sequence but not written.
    """

    dataset_hash: str
    instrument: NotNegative
    first_row: NotNegative
    last_row: NotNegative


# --- what happened: market data ----------------------------------------------------------------------------------


class TradeEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """One public trade; `side` is the aggressor's."""

    instrument: NotNegative
    price_ticks: Positive
    qty_lots: Positive
    side: Side
    trade_id: int
    ts_venue_ns: int


class BookEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A snapshot of, or a change to, the order book: (price_ticks, qty_lots) levels, 0 lots = level gone."""

    instrument: NotNegative
    bids: tuple[tuple[Positive, NotNegative], ...]
    asks: tuple[tuple[Positive, NotNegative], ...]
    is_snapshot: bool
    first_update_id: int
    last_update_id: int
    ts_venue_ns: int


class TickerEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """Best bid, best ask and last trade, in ticks; 0 where unknown."""

    instrument: NotNegative
    bid_ticks: NotNegative
    ask_ticks: NotNegative
    last_ticks: NotNegative
    ts_venue_ns: int


class Bar(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """One finished bar over [ts_open_ns, ts_ns); it becomes known at its close, `ts_ns`."""

    instrument: NotNegative
    ts_open_ns: int
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume_lots: NotNegative = 0


class DataGap(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A fault in the market data as they came: `check` names the certificate's rule, [from_ns, to_ns) where it lies."""

    instrument: NotNegative
    check: str
    from_ns: int
    to_ns: int
    n_missing: NotNegative = 0  # Bars, trade ids or update ids.
    detail: str = ""


# --- what the strategy wants --------------------------------------------------------------------------------------


class Target(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A wanted position: `weight` of equity (a fraction) or `qty` in base; exactly one is given.

    A strategy leaves the identity fields alone: the runner fills them in.
    """

    ts_ns: int = 0
    instrument: int = 0
    strategy_id: str = ""
    weight: float | None = None
    qty: Decimal | None = None
    reason: str = ""
    features: tuple[tuple[str, float], ...] = ()


class OrderIntent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A wish to trade. Only the gate turns it into an order.

    Quantity and price are not validated here: a malformed wish is refused by the gate, with its reason. A strategy
    leaves the identity fields (`ts_ns` to `slice_id`) alone: the runner fills them in, but for `slice_id`, in which an
    `OrderStrategy` says its slot. Orders of one list may refer to each other: `intent_id` is then a name of the strategy's
    own that others use as `after_intent_id`, `group_id` a name that they share; the runner turns both into ids.
    """

    ts_ns: int = 0
    instrument: int = 0
    account_id: str = ""
    strategy_id: str = ""
    intent_id: str = ""
    parent_id: str = ""
    execution_id: str = ""
    slice_id: str = ""
    side: Side
    type: OrderType = OrderType.MARKET
    tif: TimeInForce = TimeInForce.GTC
    qty_lots: int
    limit_price_ticks: int = NO_PRICE
    reduce_only: bool = False
    reason: str = ""
    features: tuple[tuple[str, float], ...] = ()
    meta: tuple[tuple[str, str], ...] = ()  # The user's own notes; the framework reads none of them.
    post_only: bool = False  # Never takes: refused by the venue if it would.
    trigger_price_ticks: int = NO_PRICE  # What wakes a stop or take-profit order.
    trail_ticks: int = 0  # How far a trailing stop's trigger stays behind the best price.
    expire_ns: int = 0  # When a GTD order ends.
    group_id: str = ""  # One cancels the other: a fill of one shrinks the others by as much.
    after_intent_id: str = ""  # It sleeps until that order fills, and closes no more than has filled.


class CancelIntent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A wish to cancel a working order; the gate always lets it pass, and records it."""

    ts_ns: int = 0
    instrument: int = 0
    account_id: str = ""
    strategy_id: str = ""
    intent_id: str = ""
    client_order_id: str
    reason: str = ""


class AmendIntent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A wish to change a working order in place; what is 0 stays as it is.

    `qty_lots` is the new total quantity, what has filled included. Less quantity keeps the place in the queue, more
    quantity or another price loses it.
    """

    ts_ns: int = 0
    instrument: int = 0
    account_id: str = ""
    strategy_id: str = ""
    intent_id: str = ""
    client_order_id: str
    qty_lots: int = 0
    limit_price_ticks: int = NO_PRICE
    trigger_price_ticks: int = NO_PRICE
    reason: str = ""


class TimerSet(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask the host for a TimerFired at `due_ns`; the same key again moves the timer."""

    ts_ns: int = 0
    strategy_id: str = ""
    instrument: int = -1  # -1 where one strategy object serves all its instruments.
    key: str
    due_ns: int


class TimerFired(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A timer that a strategy set has come due."""

    strategy_id: str
    instrument: int
    key: str
    due_ns: int


class ProposalRefused(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A proposal ended before it became an intent."""

    instrument: int
    strategy_id: str
    proposal: str
    reason: RefusalReason
    detail: str = ""


class StrategySuspended(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A strategy raised; it is called no more, and its working orders are canceled."""

    strategy_id: str
    error: str


# --- whether: the gate --------------------------------------------------------------------------------------------


class RiskDecision(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The gate's verdict on one intent; a refusal names the rule, the reason and the numbers it saw."""

    instrument: int
    account_id: str
    strategy_id: str
    intent_id: str
    parent_id: str = ""
    execution_id: str = ""
    slice_id: str = ""
    allowed: bool
    reason: RefusalReason | None = None
    rule: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    limits_version: int = 1


class OrderEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """An approved order; `decision_seq` counts the gate's decisions, and the approval ends at `expires_ns`."""

    instrument: NotNegative
    account_id: str
    strategy_id: str
    intent_id: str
    client_order_id: str
    parent_id: str = ""
    execution_id: str = ""
    slice_id: str = ""
    side: Side
    type: OrderType
    tif: TimeInForce
    qty_lots: Positive
    limit_price_ticks: NotNegative = NO_PRICE
    reduce_only: bool = False
    decision_seq: int
    limits_version: int
    expires_ns: int
    post_only: bool = False
    trigger_price_ticks: NotNegative = NO_PRICE
    trail_ticks: NotNegative = 0
    expire_ns: NotNegative = 0
    group_id: str = ""
    after_client_order_id: str = ""  # Of the entry whose fill wakes it.


class CancelEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """An approved cancel."""

    instrument: NotNegative
    account_id: str
    strategy_id: str
    intent_id: str
    client_order_id: str
    decision_seq: int


class AmendEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """An approved amendment; 0 = unchanged. The venue's OrderUpdate (AMENDED or AMEND_REFUSED) says what holds."""

    instrument: NotNegative
    account_id: str
    strategy_id: str
    intent_id: str
    client_order_id: str
    qty_lots: NotNegative = 0
    limit_price_ticks: NotNegative = NO_PRICE
    trigger_price_ticks: NotNegative = NO_PRICE
    decision_seq: int


# --- what came back -----------------------------------------------------------------------------------------------


class OrderUpdate(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue's word on one order.

    After an amendment `qty_lots` and the two prices are what holds at the venue from then on; 0 elsewhere.
    """

    instrument: NotNegative
    account_id: str
    strategy_id: str
    intent_id: str
    client_order_id: str
    parent_id: str = ""
    execution_id: str = ""
    slice_id: str = ""
    status: OrderStatus
    reason: OrderReason = OrderReason.NONE
    detail: str = ""
    venue_order_id: str = ""
    filled_lots: NotNegative = 0
    ts_venue_ns: int
    qty_lots: NotNegative = 0
    limit_price_ticks: NotNegative = NO_PRICE
    trigger_price_ticks: NotNegative = NO_PRICE


class FillEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """One execution; `fee` is charged in `fee_asset`, a rebate is negative.

    A liquidation is the venue's own trade: `strategy_id` is VENUE, there is no intent, and it closes what every
    strategy holds of the instrument.
    """

    instrument: NotNegative
    account_id: str
    strategy_id: str
    intent_id: str
    client_order_id: str
    parent_id: str = ""
    execution_id: str = ""
    slice_id: str = ""
    side: Side
    price_ticks: Positive
    qty_lots: Positive
    fee: Decimal
    fee_asset: str
    is_maker: bool
    venue_trade_id: str
    ts_venue_ns: int

    def __post_init__(self) -> None:
        if not self.fee.is_finite():
            _refuse_not_finite(self.fee)


class FundingEvent(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """A perpetual's funding payment: `amount` is received (negative: paid) in `asset`.

    amount = -rate x position x mark, rounded once, against us.
    """

    instrument: NotNegative
    account_id: str
    rate: Decimal  # A fraction for the interval; longs pay where it is positive.
    mark_ticks: Positive
    amount: Decimal
    asset: str
    ts_venue_ns: int

    def __post_init__(self) -> None:
        _refuse_not_finite(self.rate, self.amount)


class BalanceAdjusted(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue holds more or less of an asset than our books, and nothing of ours explains it: the books follow.

    A deposit, a withdrawal, what was there before the session, or a trade by hand whose report never came. It is no
    profit: capital changes by what it is worth.
    """

    account_id: str
    asset: str
    amount: Decimal  # What is added to our books; negative = taken away.
    instrument: int = -1  # Whose base the asset is; -1 = it is the report asset.
    price_ticks: NotNegative = NO_PRICE  # What a unit of base is booked at.
    reason: str = ""

    def __post_init__(self) -> None:
        _refuse_not_finite(self.amount)


class PositionSnapshot(Message, frozen=True, kw_only=True, gc=False, tag=True):
    """The ledger after a fill: one instrument's position, and the account's cash."""

    instrument: NotNegative
    account_id: str
    qty: Decimal  # Signed, in base.
    cost: Decimal  # What the position cost in quote, signed like qty.
    realized_pnl: Decimal  # Average cost, before fees, in quote.
    fees: Decimal  # Paid so far on this instrument, valued in quote.
    cash: Decimal  # Of the report asset.
    unvalued: tuple[tuple[str, Decimal], ...] = ()  # Fees owed in assets that nothing here can price.
    funding: Decimal = Decimal(0)  # Received so far on this instrument, negative if paid.

    def __post_init__(self) -> None:
        # One after the other in one expression: this is asked of every fill, and a call for it costs more than all six.
        if not (
            self.qty.is_finite()
            and self.cost.is_finite()
            and self.realized_pnl.is_finite()
            and self.fees.is_finite()
            and self.cash.is_finite()
            and self.funding.is_finite()
        ):
            _refuse_not_finite(self.qty, self.cost, self.realized_pnl, self.fees, self.cash, self.funding)
        if self.unvalued:
            _refuse_not_finite(*(amount for _, amount in self.unvalued))

    @property
    def avg_price(self) -> Decimal | None:
        """Average entry price in quote per base; None while flat."""
        return ratio(self.cost, self.qty) if self.qty else None


# --- the broker port's structs -------------------------------------------------------------------------------------


class BrokerOrderReq(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order as the gateway hands it to a broker."""

    instrument: int
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    qty_lots: int
    limit_price_ticks: int
    reduce_only: bool
    client_order_id: str
    ts_ns: int
    post_only: bool = False
    trigger_price_ticks: int = NO_PRICE
    trail_ticks: int = 0
    expire_ns: int = 0
    group_id: str = ""
    after_client_order_id: str = ""


class BrokerCancelReq(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A cancel as the gateway hands it to a broker."""

    symbol: str
    client_order_id: str
    ts_ns: int


class BrokerAmendReq(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An amendment as the gateway hands it to a broker; 0 = unchanged."""

    symbol: str
    client_order_id: str
    qty_lots: int
    limit_price_ticks: int
    trigger_price_ticks: int
    ts_ns: int


class BrokerOrderAck(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The venue has the order (or the cancel)."""

    client_order_id: str
    venue_order_id: str
    ts_venue_ns: int


class BrokerReject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The venue refused, for sure."""

    client_order_id: str
    reason: OrderReason
    detail: str
    ts_venue_ns: int


class BrokerUnknown(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Sent, and no trustworthy answer: the order may or may not exist."""

    client_order_id: str
    detail: str
    ts_venue_ns: int


class BrokerPending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """On its way: what the venue says of it comes later, as a report."""

    client_order_id: str


class BrokerOrderUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order as the venue reports it when asked."""

    client_order_id: str
    venue_order_id: str
    symbol: str
    side: Side
    type: OrderType
    status: OrderStatus
    reason: OrderReason
    qty_lots: int
    filled_lots: int
    limit_price_ticks: int
    ts_venue_ns: int
    trigger_price_ticks: int = NO_PRICE


class BrokerFill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One execution as the venue reports it; the gateway knows whose order it was."""

    client_order_id: str
    venue_trade_id: str
    price_ticks: int
    qty_lots: int
    fee: Decimal
    fee_asset: str
    is_maker: bool
    ts_venue_ns: int


class BrokerLiquidation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The venue has closed a whole position because margin ran out."""

    instrument: int
    side: Side
    price_ticks: int
    qty_lots: int
    fee: Decimal
    fee_asset: str
    venue_trade_id: str
    ts_venue_ns: int


class BrokerFunding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One funding payment; `amount` is received, negative if paid."""

    instrument: int
    rate: Decimal
    mark_ticks: int
    amount: Decimal
    asset: str
    ts_venue_ns: int


class BalanceSnapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One asset of the account as the venue reports it."""

    asset: str
    free: Decimal
    locked: Decimal
    ts_venue_ns: int


BrokerReply = BrokerOrderAck | BrokerReject | BrokerUnknown | BrokerPending
BrokerReport = BrokerFill | BrokerOrderUpdate | BrokerLiquidation | BrokerFunding
Proposal = Target | OrderIntent | CancelIntent | AmendIntent | TimerSet

AnyMessage = (
    RunStarted
    | ConfigChanged
    | KillSwitchState
    | Alert
    | Ref
    | TradeEvent
    | BookEvent
    | TickerEvent
    | Bar
    | DataGap
    | Target
    | OrderIntent
    | CancelIntent
    | AmendIntent
    | TimerSet
    | TimerFired
    | ProposalRefused
    | StrategySuspended
    | RiskDecision
    | OrderEvent
    | CancelEvent
    | AmendEvent
    | OrderUpdate
    | FillEvent
    | FundingEvent
    | BalanceAdjusted
    | PositionSnapshot
)

# Messages that come from outside the engine: replaying these alone re-derives all others.
INBOUND: tuple[type[Message], ...] = (
    RunStarted,
    ConfigChanged,
    KillSwitchState,
    Alert,
    Ref,
    TradeEvent,
    BookEvent,
    TickerEvent,
    Bar,
    TimerFired,
    OrderUpdate,
    FillEvent,
    FundingEvent,
    BalanceAdjusted,
)

# Of these, what no host makes by itself: market data, and what is said from outside. In a paper session the simulated
# venue and the timers make the rest, the same every time.
EXTERNAL: tuple[type[Message], ...] = (
    RunStarted,
    ConfigChanged,
    KillSwitchState,
    Alert,
    Ref,
    TradeEvent,
    BookEvent,
    TickerEvent,
    Bar,
)
