"""The real gate behind the real ledger, and the oracle beside them, with one verb for each thing that may happen."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any, cast

from njord.core.accounts import AccountTerms, make_account
from njord.core.codec import decode, encode
from njord.core.contracts import (
    AmendEvent,
    AmendIntent,
    Bar,
    CancelEvent,
    CancelIntent,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
    TradeEvent,
)
from njord.core.engine import Engine
from njord.core.types import (
    OrderReason,
    OrderStatus,
    OrderType,
    RefusalReason,
    Side,
    TimeInForce,
    TradingState,
)
from njord.portfolio.ledger import Ledger
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.profile import build_rules
from tests.property.risk_oracle import Oracle
from tests.property.risk_profiles import CAPITAL, COST_BPS, PERP, PROFILES, SPOT, START_NS, TERMS, S
from tests.property.risk_world import DAY_NS, Order


class Harness:
    """The real gate behind the real ledger, and the oracle beside them."""

    def __init__(self, profile: str, terms: AccountTerms = TERMS[0]) -> None:
        instruments = (SPOT, PERP)
        configured = PROFILES[profile]
        lent = int(terms.leverage)
        leverage = (lent if terms.kind == "margin" else 1, lent)
        self.world = Oracle(
            instruments,
            configured,
            Fraction(CAPITAL),
            Fraction(COST_BPS) / 10_000,
            leverage,
            terms.kind == "margin",
        )
        self.exposure = Exposure(instruments, make_account(terms, instruments, "USD", CAPITAL), COST_BPS)
        self.gate = RiskGate(build_rules(profile, configured), self.exposure, "main", "run")
        ledger = Ledger(make_account(terms, instruments, "USD", CAPITAL), len(instruments))
        self.engine = Engine((ledger, self.gate), self)
        self.now_ns = START_NS
        self.n_intents = 0
        self.n_trades = 0
        self.reasons: Counter[RefusalReason | None] = Counter()
        self.amended: Counter[RefusalReason | None] = Counter()

    def append(self, message: Message) -> None:
        """The journal: whatever the gate makes must be writable and readable."""
        if not isinstance(message, (OrderIntent, CancelIntent, AmendIntent)):
            assert decode(encode(message)) == message

    def step(self, message: Message) -> list[Message]:
        done = self.engine.step(message)
        self.world.note(self.now_ns)
        return done

    # --- acts ---

    def wait(self, how: str, sees_prices: bool) -> None:
        to_midnight = -self.now_ns % DAY_NS
        self.now_ns += {
            "a second": S,
            "30 s": 30 * S,
            "59.999999999 s": 60 * S - 1,
            "a minute": 60 * S,
            "to midnight": to_midnight,
            "over midnight": to_midnight + 1,
            "three days": 3 * DAY_NS,
        }[how]
        if sees_prices:
            for index, ticks in sorted(self.world.marks.items()):
                self.bar(index, ticks)

    def bar(self, index: int, ticks: int) -> None:
        world = self.world
        bar = Bar(
            ts_ns=self.now_ns,
            instrument=index,
            ts_open_ns=self.now_ns - 60 * S,
            open=ticks,
            high=ticks,
            low=ticks,
            close=ticks,
        )
        world.marks[index], world.mark_ts[index], world.intervals[index] = ticks, self.now_ns, 60 * S
        self.step(bar)

    def trade(self, index: int, ticks: int) -> None:
        self.world.marks[index], self.world.mark_ts[index] = ticks, self.now_ns
        self.step(
            TradeEvent(
                ts_ns=self.now_ns,
                instrument=index,
                price_ticks=ticks,
                qty_lots=1,
                side=Side.BUY,
                trade_id=1,
                ts_venue_ns=self.now_ns,
            )
        )

    def kill_switch(self, source: str, state: TradingState, valid_s: int, ago_s: int) -> None:
        reading = KillSwitchState(
            ts_ns=self.now_ns - ago_s * S,
            state=state,
            source=source,
            valid_until_ns=self.now_ns + valid_s * S,
        )
        self.world.readings[source] = reading
        self.step(reading)

    def order(self, number: int) -> Order | None:
        return self.world.orders[number % len(self.world.orders)] if self.world.orders else None

    def fill(self, number: int, share: int, offset: int, fee: Decimal) -> None:
        order = self.order(number)
        if order is None or (order.fillable if order.is_open else order.left) <= 0:
            return
        event = order.event
        self.n_trades += 1
        mark = self.world.marks[event.instrument]
        fill = FillEvent(
            ts_ns=self.now_ns,
            instrument=event.instrument,
            account_id=event.account_id,
            strategy_id=event.strategy_id,
            intent_id=event.intent_id,
            client_order_id=event.client_order_id,
            side=event.side,
            price_ticks=max(1, mark + offset),
            qty_lots=max(1, (order.fillable if order.is_open else order.left) * share // 4),
            fee=fee,
            fee_asset="USD",
            is_maker=False,
            venue_trade_id=str(self.n_trades),
            ts_venue_ns=self.now_ns,
        )
        self.world.fill(fill)
        if not order.is_open:
            order.left -= fill.qty_lots  # Late: it ended, and was filled all the same.
        self.step(fill)

    def update(self, number: int, status: OrderStatus) -> None:
        order = self.order(number)
        if order is None or not order.is_open:
            return
        event = order.event
        known = self.exposure.working.get(event.client_order_id)
        assert known is not None
        if status is OrderStatus.ACCEPTED and known.status is not OrderStatus.SENT:
            return
        if status is OrderStatus.REJECTED and known.status not in (OrderStatus.SENT, OrderStatus.UNKNOWN):
            return
        if status not in (OrderStatus.ACCEPTED, OrderStatus.UNKNOWN):
            self.world.end(order)
        self.step(
            OrderUpdate(
                ts_ns=self.now_ns,
                instrument=event.instrument,
                account_id=event.account_id,
                strategy_id=event.strategy_id,
                intent_id=event.intent_id,
                client_order_id=event.client_order_id,
                status=status,
                ts_venue_ns=self.now_ns,
            )
        )

    def cancel(self, number: int, strategy_id: str) -> None:
        order = self.order(number)
        wanted = order.event.client_order_id if order else "NJ-NOBODY"
        self.n_intents += 1
        intent = CancelIntent(
            ts_ns=self.now_ns,
            strategy_id=strategy_id,
            intent_id=f"{strategy_id}-{self.n_intents}",
            client_order_id=wanted,
        )
        self.world.decided.append(intent.intent_id)
        _, *made = self.step(intent)
        may = order is not None and order.is_open and order.event.strategy_id == strategy_id
        decision = cast(RiskDecision, made[0])
        assert decision.allowed is may
        assert decision.reason is (None if may else RefusalReason.ORDER_NOT_FOUND)
        assert [type(each) for each in made[1:]] == ([CancelEvent] if may else [])

    def amend(self, number: int, strategy_id: str, lots: int, limit: int, trigger: int) -> None:
        order = self.order(number)
        self.n_intents += 1
        values: dict[str, Any] = {}
        if order is not None:
            event = order.event
            for name, change in (
                ("qty_lots", lots),
                ("limit_price_ticks", limit),
                ("trigger_price_ticks", trigger),
            ):
                values[name] = max(0, getattr(event, name) + change) if change else 0
        intent = AmendIntent(
            ts_ns=self.now_ns,
            account_id="main",
            strategy_id=strategy_id,
            intent_id=f"{strategy_id}-{self.n_intents}",
            client_order_id=order.event.client_order_id if order else "NJ-NOBODY",
            **values,
        )
        world = self.world
        expected = world.expected_of_amend(intent, order)
        is_asked = (
            expected is None
            and order is not None
            and (
                order.pending
                or intent.limit_price_ticks
                or intent.trigger_price_ticks
                or intent.qty_lots > order.event.qty_lots
            )
        )
        _, *made = self.step(intent)
        world.decided.append(intent.intent_id)
        decision = cast(RiskDecision, made[0])
        self.amended[decision.reason] += 1
        assert decision.reason is expected, f"{decision} for {intent}"
        assert len(made) == (1 if expected else 2)
        if expected is None and order is not None:
            amendment = made[1]
            assert isinstance(amendment, AmendEvent)
            assert amendment.client_order_id == order.event.client_order_id
            order.pending.append(amendment)
            order.count()
            if is_asked:
                world.approvals.append((self.now_ns, strategy_id))

    def answer(self, number: int, is_amended: bool) -> None:
        """The venue's word on the oldest amendment of an order."""
        order = self.order(number)
        if order is None or not order.is_open or not order.pending:
            return
        asked, event = order.pending.pop(0), order.event
        if is_amended:
            wanted = (asked.qty_lots, asked.limit_price_ticks, asked.trigger_price_ticks)
            qty, *prices = (new or old for new, old in zip(wanted, order.at_venue, strict=True))
            order.at_venue = (qty, prices[0], prices[1])
        order.at_venue = (
            max(order.at_venue[0], order.filled),
            *order.at_venue[1:],
        )  # What has filled was there.
        order.count()
        known = self.exposure.working.get(event.client_order_id)
        assert known is not None
        self.step(
            OrderUpdate(
                ts_ns=self.now_ns,
                instrument=event.instrument,
                account_id=event.account_id,
                strategy_id=event.strategy_id,
                intent_id=event.intent_id,
                client_order_id=event.client_order_id,
                status=known.status if known.status is not OrderStatus.SENT else OrderStatus.ACCEPTED,
                reason=OrderReason.AMENDED if is_amended else OrderReason.AMEND_REFUSED,
                qty_lots=max(1, order.at_venue[0]),
                limit_price_ticks=order.at_venue[1],
                trigger_price_ticks=order.at_venue[2],
                ts_venue_ns=self.now_ns,
            )
        )

    def bracket(self, wish: dict[str, Any], exits: list[tuple[int, int]]) -> None:
        """An entry at market, and exits in one breath: (lots, offset of the limit), all of one group."""
        entry = {key: each for key, each in wish.items() if key not in ("offset", "tif", "reduce_only")}
        self.intent(entry)
        named = f"{entry['strategy_id']}-{self.n_intents}"
        for lots, offset in exits:
            self.intent(
                entry
                | {"side": entry["side"].opposite, "qty_lots": lots, "offset": offset, "reduce_only": True}
                | {"after_intent_id": named, "group_id": f"of {named}"}
            )

    def intent(self, wish: dict[str, Any], repeats: int = 0) -> None:
        fields = wish.copy()
        if repeats and self.world.decided:
            intent_id = self.world.decided[-min(repeats, len(self.world.decided))]
        else:
            self.n_intents += 1
            intent_id = f"{fields['strategy_id']}-{self.n_intents}"
        index = fields.get("instrument")
        if "offset" in fields:
            mark = self.world.marks.get(index, 40) if isinstance(index, int) else 40
            fields["limit_price_ticks"] = max(1, mark + fields.pop("offset"))
            fields["type"] = OrderType.LIMIT
        elif "condition" in fields:
            mark = self.world.marks.get(index, 40) if isinstance(index, int) else 40
            kind, distance = fields.pop("condition")
            fields["type"] = kind
            if kind is OrderType.TRAILING_STOP:
                fields["trail_ticks"] = abs(distance) + 1
            else:
                fields["trigger_price_ticks"] = max(1, mark + distance)
            if kind.has_limit:
                fields["limit_price_ticks"] = max(1, mark + distance + 2)
        if "lives_s" in fields:
            fields |= {"tif": TimeInForce.GTD, "expire_ns": self.now_ns + fields.pop("lives_s") * S}
        if fields.pop("is_exit", False) and self.world.orders:
            fields["after_intent_id"] = self.world.orders[-1].event.intent_id
        values: dict[str, Any] = {"ts_ns": self.now_ns, "account_id": "main", "intent_id": intent_id} | fields
        self.decide(OrderIntent(**values))

    def decide(self, intent: OrderIntent) -> None:
        world = self.world
        expected = world.expected(intent)
        shrinks = expected is None and world.reduces(intent)
        _, *made = self.step(intent)
        decision = cast(RiskDecision, made[0])
        self.reasons[decision.reason] += 1
        assert decision.reason is expected, f"{decision} for {intent}"
        assert decision.allowed is (expected is None)
        if isinstance(intent.intent_id, str):
            world.decided.append(intent.intent_id)
        if expected is not None:
            assert len(made) == 1
            assert decision.rule
            assert decision.evidence or expected is RefusalReason.PRICE_UNKNOWN
            return
        order = made[1]
        assert isinstance(order, OrderEvent)
        assert len(made) == 2
        same = (
            "side",
            "type",
            "tif",
            "qty_lots",
            "limit_price_ticks",
            "reduce_only",
            "instrument",
            "intent_id",
            "post_only",
            "trigger_price_ticks",
            "trail_ticks",
            "expire_ns",
            "group_id",
        )
        assert all(getattr(order, name) == getattr(intent, name) for name in same)
        assert order.expires_ns == intent.ts_ns + 10 * S
        entry = world.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        assert order.after_client_order_id == (entry.event.client_order_id if entry else "")
        world.orders.append(Order(order, order.qty_lots, entry=entry))
        world.approvals.append((order.ts_ns, order.strategy_id))
        assert shrinks or is_funded(world, intent)


def is_funded(world: Oracle, intent: OrderIntent) -> bool:
    """Whatever part of the open orders fills, with this one, at the prices it was decided at: margin is there for all."""
    *others, own = world.open_orders()
    same_side = [
        order
        for order in others
        if order.event.instrument != intent.instrument or order.event.side is intent.side
    ]
    groups: dict[str, list[Order | None]] = {}
    for number, order in enumerate(same_side):
        if not intent.group_id or order.event.group_id != intent.group_id:
            groups.setdefault(order.event.group_id or f"#{number}", [None]).append(order)
    every = (tuple(order for order in some if order is not None) for some in product(*groups.values()))
    return all(world.backed((*some, own), intent.instrument) for some in every)
