"""The gate: the component that decides on every intent. The only maker of RiskDecision, and of OrderEvent and its kin.

Rules are asked in order and the first refusal ends it. Every intent gets a decision, and only an approved one an
order. There is no switch to turn this off: backtest, paper and live construct the same gate. A cancel passes, and so
does an amendment that only takes lots away; any other amendment is asked of every rule as a new order in its place.
"""

from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from njord.core.component import Handler
from njord.core.contracts import (
    AmendEvent,
    AmendIntent,
    BalanceAdjusted,
    Bar,
    BookEvent,
    CancelEvent,
    CancelIntent,
    ConfigChanged,
    FillEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    TradeEvent,
)
from njord.core.filters import INT64_MAX
from njord.core.ids import ClientOrderIds
from njord.core.orders import WorkingOrder
from njord.core.types import RefusalReason
from njord.core.units import NS_PER_S
from njord.risk.exposure import Exposure
from njord.risk.plain import plain_orders
from njord.risk.rules import RiskRule
from njord.risk.rules.base import Answer, Refusal, is_readable, refuse
from njord.risk.rules.well_formed import is_text, malformed

APPROVAL_TTL_NS = 10 * NS_PER_S
UNKNOWN_INSTRUMENT = -1
_Linked = TypeVar("_Linked", RiskDecision, OrderEvent)


class RiskGate:
    """Decides on intents.

    Args:
        rules: Asked in this order; the kill switch is the first.
        exposure: What the rules read; the gate keeps it up to date.
        account_id: Part of every client order id.
        run_id: Part of every client order id.
    """

    def __init__(self, rules: Sequence[RiskRule], exposure: Exposure, account_id: str, run_id: str) -> None:
        self.exposure = exposure
        self._rules = tuple(rules)
        asked = [rule for rule in rules if not rule.is_off]
        self._checks = tuple((rule.name, rule.check) for rule in asked)
        exposure.follows_losses = any(rule.reads_losses for rule in asked)
        self._plain = plain_orders(rules, exposure)
        self._client_order_ids = ClientOrderIds(account_id, run_id)
        self._decision_seq = 0
        self._limits_version = 1

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            KillSwitchState: self.exposure.observe_kill_switch,
            ConfigChanged: self._on_config,
            Bar: self.exposure.observe_bar,
            TradeEvent: self._on_trade,
            BookEvent: self._on_book,
            OrderIntent: self._on_intent,
            CancelIntent: self._on_cancel,
            AmendIntent: self._on_amend,
            OrderUpdate: self.exposure.working.update,
            FillEvent: self.exposure.working.fill,  # The position follows with the ledger's snapshot.
            BalanceAdjusted: self.exposure.observe_adjustment,
            PositionSnapshot: self.exposure.observe_position,
        }

    def _on_config(self, change: ConfigChanged) -> None:
        self._limits_version = change.limits_version

    def _on_trade(self, trade: TradeEvent) -> None:
        self.exposure.observe_price(trade.instrument, trade.price_ticks, trade.ts_ns)

    # Before the first trade a snapshot's middle is the only price there is; from then on trades are.
    def _on_book(self, book: BookEvent) -> None:
        if book.is_snapshot and book.bids and book.asks and not self.exposure.mark_ticks[book.instrument]:
            bid, ask = max(level[0] for level in book.bids), min(level[0] for level in book.asks)
            self.exposure.observe_price(book.instrument, (bid + ask) // 2, book.ts_ns)

    def _on_intent(self, intent: OrderIntent) -> Sequence[Message]:
        self._decision_seq += 1
        exposure = self.exposure
        if type(intent.ts_ns) is int and intent.ts_ns > exposure.day_end_ns:
            exposure.advance(intent.ts_ns)
        is_plain = self._plain is not None and self._plain.passes(intent)
        if not is_plain:
            exposure.weigh(intent)
            rule, refusal = self._first_refusal(intent)
            exposure.weigh(None)
            if refusal is not None:
                self._remember(intent.intent_id)
                return [self._decision(intent, rule, refusal)]
        exposure.decided.add(intent.intent_id)
        # Every rule has let it pass, the one on form first: nothing in it needs a second look.
        decision = RiskDecision(
            ts_ns=intent.ts_ns,
            instrument=intent.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            allowed=True,
            limits_version=self._limits_version,
        )
        order = _bare(intent, self._client_order_ids, self._decision_seq, self._limits_version)
        if not is_plain:
            decision, order = _linked(decision, intent), _complete(order, intent, self._client_order_ids)
        exposure.reserve(order)
        return [decision, order]

    def _first_refusal(self, intent: OrderIntent) -> tuple[str, Refusal | None]:
        exposure = self.exposure
        for name, check in self._checks:
            refusal = check(intent, exposure)
            if refusal is not None:
                return name, refusal
        return "", None

    def _remember(self, intent_id: object) -> None:
        if isinstance(intent_id, str):
            self.exposure.decided.add(intent_id)

    # A refused intent may hold anything; its decision must be one that can be written and read again.
    def _decision(
        self, intent: OrderIntent | CancelIntent | AmendIntent, rule: str, refusal: Refusal | None
    ) -> RiskDecision:
        order = intent if isinstance(intent, OrderIntent) else None
        return RiskDecision(
            ts_ns=intent.ts_ns if type(intent.ts_ns) is int else 0,
            instrument=intent.instrument if self._is_index(intent.instrument) else UNKNOWN_INSTRUMENT,
            account_id=_text(intent.account_id),
            strategy_id=_text(intent.strategy_id),
            intent_id=_text(intent.intent_id),
            parent_id=_text(order.parent_id) if order else "",
            execution_id=_text(order.execution_id) if order else "",
            slice_id=_text(order.slice_id) if order else "",
            allowed=refusal is None,
            reason=refusal.reason if refusal else None,
            rule=rule,
            evidence=refusal.evidence if refusal else (),
            limits_version=self._limits_version,
        )

    # A cancel never adds risk: it passes whatever the kill switch says, and is recorded like everything else.
    def _on_cancel(self, intent: CancelIntent) -> Sequence[Message]:
        self._decision_seq += 1
        self._remember(intent.intent_id)
        order = self._own_order(intent)
        if order is None:
            return [self._decision(intent, "cancel", _not_found(intent))]
        return [
            self._decision(intent, "", None),
            CancelEvent(
                ts_ns=intent.ts_ns,
                instrument=order.instrument,
                account_id=intent.account_id,
                strategy_id=intent.strategy_id,
                intent_id=intent.intent_id,
                client_order_id=intent.client_order_id,
                decision_seq=self._decision_seq,
            ),
        ]

    # A strategy may speak of its own orders only.
    def _own_order(self, intent: CancelIntent | AmendIntent) -> WorkingOrder | None:
        wanted = intent.client_order_id
        order = self.exposure.working.get(wanted) if is_text(wanted) else None
        return order if order is not None and order.strategy_id == intent.strategy_id else None

    def _on_amend(self, intent: AmendIntent) -> Sequence[Message]:
        self._decision_seq += 1
        order = self._own_order(intent)
        rule, refusal = "amend", _amend_refusal(intent, order)
        if order is not None and refusal is None and not _only_shrinks(intent, order):
            rule, refusal = self._refusal_of_amended(intent, order)
        self._remember(intent.intent_id)
        if order is None or refusal is not None:
            return [self._decision(intent, rule, refusal)]
        event = AmendEvent(
            ts_ns=intent.ts_ns,
            instrument=order.instrument,
            account_id=intent.account_id,
            strategy_id=intent.strategy_id,
            intent_id=intent.intent_id,
            client_order_id=intent.client_order_id,
            qty_lots=intent.qty_lots,
            limit_price_ticks=intent.limit_price_ticks,
            trigger_price_ticks=intent.trigger_price_ticks,
            decision_seq=self._decision_seq,
        )
        self.exposure.working.amend(event)
        return [self._decision(intent, "", None), event]

    # The order as it would be is asked of every rule, as if it came now; the order as it is takes no room meanwhile.
    def _refusal_of_amended(self, intent: AmendIntent, order: WorkingOrder) -> tuple[str, Refusal | None]:
        exposure = self.exposure
        entry = exposure.working.get(order.after_client_order_id) if order.entry_lots >= 0 else None
        if order.after_client_order_id and entry is None and intent.qty_lots > order.qty_lots:
            more = refuse(RefusalReason.ENTRY_NOT_WORKING, client_order_id=order.client_order_id)
            return "amend", more
        amended = _amended(intent, order, entry)
        exposure.advance(intent.ts_ns)
        with exposure.without(order):
            exposure.weigh(amended)
            answer = self._first_refusal(amended)
            exposure.weigh(None)
        if answer[1] is None:
            exposure.pace.count(intent.ts_ns, intent.strategy_id)
        return answer

    def hear(self, intent: OrderIntent | AmendIntent) -> tuple[Answer, ...]:
        """Return what every rule says of `intent` now, also those behind the first refusal; nothing is decided.

        Asked just before the gate is, the first refusal and its numbers are the gate's own. Nothing of an amendment
        that passes like a cancel, or is none. Behind a refusal of a malformed intent nobody is asked.
        """
        if isinstance(intent, OrderIntent):
            if type(intent.ts_ns) is int:
                self.exposure.advance(intent.ts_ns)
            return self._answers(intent)
        order = self._own_order(intent)
        if order is None or _amend_refusal(intent, order) is not None or _only_shrinks(intent, order):
            return ()
        self.exposure.advance(intent.ts_ns)
        entry = self.exposure.working.get(order.after_client_order_id) if order.entry_lots >= 0 else None
        if order.after_client_order_id and entry is None and intent.qty_lots > order.qty_lots:
            return ()
        amended = _amended(intent, order, entry)
        with self.exposure.without(order):
            return self._answers(amended)

    def _answers(self, intent: OrderIntent) -> tuple[Answer, ...]:
        answers: list[Answer] = []
        may_ask_all, is_refused = is_readable(intent, self.exposure), False
        for rule in self._rules:
            if rule.is_off or (is_refused and not may_ask_all):
                answers.append(Answer(rule.name, is_asked=False, is_off=rule.is_off))
                continue
            refusal = rule.check(intent, self.exposure)
            numbers = rule.numbers(intent, self.exposure)
            answers.append(Answer(rule.name, refusal=refusal, numbers=numbers))
            is_refused = is_refused or refusal is not None
        return tuple(answers)

    def _is_index(self, value: object) -> bool:
        return type(value) is int and 0 <= value < len(self.exposure.instruments)


def approved(intent: OrderIntent, ids: ClientOrderIds, decision_seq: int, limits_version: int) -> OrderEvent:
    """Return the order that an intent becomes once it is approved.

    Who rebuilds an order that was approved elsewhere (`backtest/fused_books.py`) asks here, too: nothing else makes one.
    """
    return _complete(_bare(intent, ids, decision_seq, limits_version), intent, ids)


# What every order has: of a plain one all. More than 15 keywords are slow to pass (see `execution/gateway.py`), so that
# what few orders have comes in a second step.
def _bare(intent: OrderIntent, ids: ClientOrderIds, decision_seq: int, limits_version: int) -> OrderEvent:
    return OrderEvent(
        ts_ns=intent.ts_ns,
        instrument=intent.instrument,
        account_id=intent.account_id,
        strategy_id=intent.strategy_id,
        intent_id=intent.intent_id,
        client_order_id=ids.of(intent.intent_id),
        side=intent.side,
        type=intent.type,
        tif=intent.tif,
        qty_lots=intent.qty_lots,
        limit_price_ticks=intent.limit_price_ticks,
        reduce_only=intent.reduce_only,
        decision_seq=decision_seq,
        limits_version=limits_version,
        expires_ns=intent.ts_ns + APPROVAL_TTL_NS,
    )


def _complete(order: OrderEvent, intent: OrderIntent, ids: ClientOrderIds) -> OrderEvent:
    after, group_id = intent.after_intent_id, intent.group_id
    order = _linked(order, intent)
    has_terms = intent.post_only or intent.trigger_price_ticks or intent.trail_ticks or intent.expire_ns
    if not has_terms and not group_id and not after:
        return order
    return replace(
        order,
        post_only=intent.post_only,
        trigger_price_ticks=intent.trigger_price_ticks,
        trail_ticks=intent.trail_ticks,
        expire_ns=intent.expire_ns,
        group_id=group_id,
        after_client_order_id=ids.of(after) if after else "",
    )


# With the execution that the intent is a part of, if it is one.
def _linked(message: _Linked, intent: OrderIntent) -> _Linked:
    parent_id, execution_id, slice_id = intent.parent_id, intent.execution_id, intent.slice_id
    if not parent_id and not execution_id and not slice_id:
        return message
    return replace(message, parent_id=parent_id, execution_id=execution_id, slice_id=slice_id)


# The order as it would be, of which its rest counts.
def _amended(intent: AmendIntent, order: WorkingOrder, entry: WorkingOrder | None) -> OrderIntent:
    return OrderIntent(
        ts_ns=intent.ts_ns,
        instrument=order.instrument,
        account_id=intent.account_id,
        strategy_id=intent.strategy_id,
        intent_id=intent.intent_id,
        side=order.side,
        type=order.type,
        tif=order.tif,
        qty_lots=(intent.qty_lots or order.qty_lots) - order.filled_lots,
        limit_price_ticks=intent.limit_price_ticks or order.limit_price_ticks,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        trigger_price_ticks=intent.trigger_price_ticks or order.trigger_price_ticks,
        trail_ticks=order.trail_ticks,
        expire_ns=order.expire_ns,
        group_id=order.group_id,
        after_intent_id=entry.intent_id if entry is not None else "",
    )


def _text(value: object) -> str:
    return str(value) if is_text(value) else f"({type(value).__name__})"


def _not_found(intent: CancelIntent | AmendIntent) -> Refusal:
    return refuse(RefusalReason.ORDER_NOT_FOUND, client_order_id=_text(intent.client_order_id))


# Whether the amendment is one at all, before any rule is asked what it would do.
def _amend_refusal(intent: AmendIntent, order: WorkingOrder | None) -> Refusal | None:
    if type(intent.ts_ns) is not int:
        return malformed("ts_ns", intent.ts_ns)
    for name, text in (("account_id", intent.account_id), ("intent_id", intent.intent_id)):
        if not is_text(text):
            return malformed(name, text)
    for name in ("qty_lots", "limit_price_ticks", "trigger_price_ticks"):
        number = getattr(intent, name)
        if type(number) is not int or not 0 <= number <= INT64_MAX:
            return malformed(name, number)
    if order is None:
        return _not_found(intent)
    if intent.qty_lots and intent.qty_lots <= order.filled_lots:
        return refuse(RefusalReason.AMEND_INVALID, qty_lots=intent.qty_lots, filled_lots=order.filled_lots)
    for name, wanted, has_price in (
        ("limit_price_ticks", intent.limit_price_ticks, order.type.has_limit),
        ("trigger_price_ticks", intent.trigger_price_ticks, order.type.has_trigger),
    ):
        if wanted and not has_price:
            return refuse(RefusalReason.AMEND_INVALID, type=order.type, **{name: wanted})
    changes = (
        intent.qty_lots not in (0, order.qty_lots)
        or intent.limit_price_ticks not in (0, order.limit_price_ticks)
        or intent.trigger_price_ticks not in (0, order.trigger_price_ticks)
    )
    # While another amendment is under way even the same numbers again may be a change.
    if not changes and not order.pending:
        return refuse(RefusalReason.AMEND_INVALID, client_order_id=order.client_order_id, changes="nothing")
    return None


# Lots taken away and no price touched. While another amendment is under way nobody knows from how many.
def _only_shrinks(intent: AmendIntent, order: WorkingOrder) -> bool:
    if order.pending or intent.limit_price_ticks or intent.trigger_price_ticks:
        return False
    return intent.qty_lots <= order.qty_lots
