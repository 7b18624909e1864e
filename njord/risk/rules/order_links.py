"""Orders that are linked must be able to keep what the link promises."""

from collections.abc import Iterator
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.orders import WorkingOrder
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, refuse


class OrderLinks(RiskRule):
    """Refuse a group of different instruments, sides or strategies, and an exit that its working entry does not cover.

    An exit must be of its entry's instrument and strategy and of the other side. All exits of one entry together, of
    a group the largest, may not exceed it.
    """

    name: ClassVar[str] = "order_links"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if the intent does not fit the orders that it is linked to."""
        if not intent.group_id and not intent.after_intent_id:
            return None
        entry = exposure.working.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        if intent.group_id:
            refusal = _check_group(intent, exposure, entry)
            if refusal is not None:
                return refusal
        return _check_exit(intent, exposure, entry) if intent.after_intent_id else None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        refusal = self.check(intent, exposure)
        if refusal is not None:
            yield from refusal.evidence
            return
        if intent.group_id:
            yield "group_id", intent.group_id
            yield "members", sum(member.group_id == intent.group_id for member in exposure.working)
        entry = exposure.working.of_intent(intent.after_intent_id) if intent.after_intent_id else None
        if entry is not None:
            yield "after_intent_id", intent.after_intent_id
            yield "exit_lots", intent.qty_lots + sum(_claims(intent, exposure, entry))
            yield "entry_lots", entry.qty_lots


def _check_group(intent: OrderIntent, exposure: Exposure, entry: WorkingOrder | None) -> Refusal | None:
    waits_for = entry.client_order_id if entry is not None else ""
    for member in exposure.working:
        if member.group_id != intent.group_id:
            continue
        for name, own, other in (
            ("instrument", intent.instrument, member.instrument),
            ("side", intent.side, member.side),
            ("strategy_id", intent.strategy_id, member.strategy_id),
            ("entry", waits_for, member.after_client_order_id if member.entry_lots >= 0 else ""),
        ):
            if own != other:
                return refuse(
                    RefusalReason.GROUP_INVALID,
                    group_id=intent.group_id,
                    differs=name,
                    member=member.intent_id,
                )
    return None


def _check_exit(intent: OrderIntent, exposure: Exposure, entry: WorkingOrder | None) -> Refusal | None:
    after = intent.after_intent_id
    if entry is None:
        return refuse(RefusalReason.ENTRY_NOT_WORKING, after_intent_id=after)
    for name, own, needed in (
        ("instrument", intent.instrument, entry.instrument),
        ("side", intent.side, entry.side.opposite),
        ("strategy_id", intent.strategy_id, entry.strategy_id),
    ):
        if own != needed:
            return refuse(RefusalReason.ENTRY_NOT_WORKING, after_intent_id=after, differs=name)
    covered = intent.qty_lots + sum(_claims(intent, exposure, entry))
    if covered > entry.qty_lots:
        return refuse(
            RefusalReason.ENTRY_NOT_WORKING,
            after_intent_id=after,
            exit_lots=covered,
            entry_lots=entry.qty_lots,
        )
    return None


# What the entry's other exits may close, of a group the largest member. The intent's own group counts by what it
# exceeds the intent.
def _claims(intent: OrderIntent, exposure: Exposure, entry: WorkingOrder) -> Iterator[int]:
    largest: dict[str, int] = {intent.group_id: intent.qty_lots} if intent.group_id else {}
    for order in exposure.working:
        if order.after_client_order_id != entry.client_order_id:
            continue
        lots = order.qty_lots
        if order.group_id:
            counted = largest.get(order.group_id, 0)
            largest[order.group_id] = max(counted, lots)
            lots = max(0, lots - counted)
        yield lots
