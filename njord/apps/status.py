"""How does a session stand? The system and its recorder in; one frozen picture for a screen or a JSON line out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from njord.apps.session import OpenSession
from njord.core.contracts import (
    AmendIntent,
    CancelIntent,
    Message,
    OrderIntent,
    ProposalRefused,
    RiskDecision,
)
from njord.core.types import OrderStatus, OrderType, RefusalReason, Side, TradingState
from njord.core.units import EXACT, ZERO, plain, ratio
from njord.risk.rules.base import LimitUse
from njord.system import System
from njord.venues.broker_wire import UnknownOrder

__all__ = [
    "DecisionLine",
    "Decisions",
    "Feeding",
    "NodeStatus",
    "OrderLine",
    "PositionLine",
    "UnknownOrder",
    "order_lines",
    "position_lines",
    "status_of",
]

DECISIONS_MAX = 8


class PositionLine(msgspec.Struct, frozen=True):
    """One position of the account; `strategy_id` is empty where several strategies trade the instrument.

    Attributes:
        instrument: Index.
        qty: Signed, in base.
        unrealized: At the last price, before fees; None while no price is known.
    """

    instrument: int
    symbol: str
    strategy_id: str
    qty: Decimal
    avg_price: Decimal | None
    unrealized: Decimal | None


class OrderLine(msgspec.Struct, frozen=True):
    """One working order; `price` is its limit or trigger, empty if it has none."""

    client_order_id: str
    strategy_id: str
    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    remaining: Decimal
    price: str
    status: OrderStatus


class DecisionLine(msgspec.Struct, frozen=True):
    """One wish of a strategy, and what the gate said to it."""

    ts_ns: int
    strategy_id: str
    symbol: str
    what: str
    verdict: str
    why: str


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it stands.

    Attributes:
        now_ns: The market's time.
        n_rows: Messages of the market consumed.
        n_rows_total: Of the recording; None for a live feed.
        speed: Of a replay; None = as fast as possible.
        kill: The strictest word of all sources.
        feed_age_s: Since the last message came; None where that says nothing.
        equity: None while a price is unknown, and so `day_pnl`.
        realized_pnl: Before fees.
        prices: Symbol and last price, for every instrument that has one.
        order_list_hash: Of a session that has ended; else empty.
        contributed: What the owner of a real account has brought since the start: no part of any profit.
        unknown: Orders at a real venue whose outcome nobody knows.
        wall_ns: The host's clock, which their countdowns run by; 0 where there are none.
    """

    session: str
    now_ns: int
    n_rows: int
    n_rows_total: int | None
    speed: float | None
    kill: TradingState
    kill_reason: str
    feed_age_s: float | None
    equity: Decimal | None
    cash: Decimal
    day_pnl: Decimal | None
    realized_pnl: Decimal
    prices: tuple[tuple[str, str], ...]
    positions: tuple[PositionLine, ...]
    working: tuple[OrderLine, ...]
    limits: tuple[LimitUse, ...]
    decisions: tuple[DecisionLine, ...]
    n_intents: int
    n_orders: int
    n_fills: int
    order_list_hash: str = ""
    contributed: Decimal = ZERO
    unknown: tuple[UnknownOrder, ...] = ()
    wall_ns: int = 0


def order_lines(system: System) -> Iterator[OrderLine]:
    """Yield the working orders, oldest first."""
    instruments = system.gate.exposure.instruments
    for order in system.oms.working:
        instrument = instruments[order.instrument]
        ticks = order.limit_price_ticks or order.trigger_price_ticks
        yield OrderLine(
            client_order_id=order.client_order_id,
            strategy_id=order.strategy_id,
            symbol=instrument.symbol,
            side=order.side,
            type=order.type,
            qty=instrument.qty(order.qty_lots),
            remaining=instrument.qty(order.remaining_lots),
            price=plain(instrument.price(ticks)) if ticks else "",
            status=order.status,
        )


def position_lines(system: System) -> Iterator[PositionLine]:
    """Yield the account's open positions, in the order of the instruments."""
    exposure, account = system.gate.exposure, system.ledger.account
    for index, instrument in enumerate(exposure.instruments):
        position = account.position(index)
        if not position.qty:
            continue
        held = system.strategies.world.held_lots
        owners = [
            owner for (owner, instrument_index), lots in held.items() if instrument_index == index and lots
        ]
        ticks = exposure.mark_ticks[index]
        yield PositionLine(
            instrument=index,
            symbol=instrument.symbol,
            strategy_id=owners[0] if len(owners) == 1 else "",
            qty=position.qty,
            avg_price=ratio(position.cost, position.qty),
            unrealized=position.unrealized_pnl(instrument.price(ticks)) if ticks else None,
        )


class Decisions:
    """Follows the engine's messages; remembers the last decisions.

    Args:
        symbols: Of the instruments.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._wishes: dict[str, str] = {}  # What an intent asks for, until it is decided.
        self.last: deque[DecisionLine] = deque(maxlen=DECISIONS_MAX)

    def follow(self, messages: Iterable[Message]) -> None:
        """Take note of intents, decisions and refusals."""
        for message in messages:
            if isinstance(message, OrderIntent):
                self._wishes[message.intent_id] = f"{message.side} {message.type}"
            elif isinstance(message, CancelIntent | AmendIntent):
                self._wishes[message.intent_id] = "cancel" if isinstance(message, CancelIntent) else "amend"
            elif isinstance(message, RiskDecision):
                self._add(message, self._wishes.pop(message.intent_id, ""), message.reason, message.rule)
            elif isinstance(message, ProposalRefused):
                self._add(message, message.proposal, message.reason, message.detail)

    def _add(
        self, said: RiskDecision | ProposalRefused, what: str, reason: RefusalReason | None, detail: str
    ) -> None:
        symbol = self._symbols[said.instrument] if 0 <= said.instrument < len(self._symbols) else ""
        verdict, why = ("allowed", "") if reason is None else ("refused", f"{reason.value} {detail}".strip())
        self.last.append(DecisionLine(said.ts_ns, said.strategy_id, symbol, what, verdict, why))


class Feeding(msgspec.Struct, frozen=True, kw_only=True):
    """What a status says of the feed, and of what has become of the session."""

    speed: float | None
    age_s: float | None
    decisions: tuple[DecisionLine, ...]
    order_list_hash: str = ""


def status_of(session: OpenSession, feeding: Feeding) -> NodeStatus:
    """Return the session as it stands."""
    system, recorder = session.system, session.recorder
    exposure, account = system.gate.exposure, system.ledger.account
    marks, instruments = exposure.mark_ticks, exposure.instruments
    equity, start, word = account.equity(marks), exposure.day_start_equity, exposure.kill_switch
    realized = ZERO
    for index in range(len(instruments)):
        realized = EXACT.add(realized, account.position(index).realized_pnl)
    return NodeStatus(
        session=session.name,
        now_ns=session.door.now_ns,
        n_rows=session.n_rows,
        n_rows_total=session.prepared.market.n_events if session.feed_file is None else None,
        speed=feeding.speed,
        kill=word.state if word is not None else TradingState.HALTED,
        kill_reason=word.reason if word is not None else "",
        feed_age_s=feeding.age_s,
        equity=equity,
        cash=account.cash,
        day_pnl=None if equity is None or start is None else EXACT.subtract(equity, start),
        realized_pnl=realized,
        contributed=account.contributed,
        prices=tuple(
            (instrument.symbol, plain(instrument.price(ticks)))
            for instrument, ticks in zip(instruments, marks, strict=True)
            if ticks
        ),
        positions=tuple(position_lines(system)),
        working=tuple(order_lines(system)),
        limits=tuple(use for rule in system.rules if not rule.is_off for use in rule.usage(exposure)),
        decisions=feeding.decisions,
        n_intents=recorder.n_intents,
        n_orders=len(recorder.orders),
        n_fills=len(recorder.fills),
        order_list_hash=feeding.order_list_hash,
    )
