"""What came of a real run, and what can be judged of it beside the invariants of every run."""

from collections.abc import Sequence
from typing import Any

import msgspec

from njord.apps.switch import KILL_SWITCH
from njord.core.contracts import KillSwitchState, Message, OrderEvent
from njord.core.types import TradingState
from njord.core.units import NS_PER_S
from njord.exchange.fault_plan import FaultPlan, FaultSpec


class RealOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        name: Of its terms.
        plan: The faults, as `njord venue --faults` takes them.
        struck: How often each of them struck.
        n_amended: How often an order was amended.
        n_unknown: How often an order was UNKNOWN.
        n_lives: Nodes that were started and took the session up.
        n_refused: Nodes that refused to start, or ended, while there was trouble.
        is_tripped: Whether the kill switch was tripped.
        met_s: Until books and truth met, from when the faults were over and the strategy silent; -1 = never.
        halt: Why trading was still halted when the faults were over; a person has started the session again then.
        violations: What must not be, one line each; empty if all is well.
    """

    name: str
    seed: int
    plan: list[dict[str, Any]]
    struck: dict[str, int] = {}
    n_messages: int = 0
    n_orders: int = 0
    n_trades: int = 0
    n_amended: int = 0
    n_unknown: int = 0
    n_lives: int = 0
    n_refused: int = 0
    is_tripped: bool = False
    met_s: float = -1.0
    wall_s: float = 0.0
    halt: str = ""
    state: str = ""
    reason: str = ""
    violations: tuple[str, ...] = ()


def approved_after_the_word(journal: Sequence[Message]) -> list[str]:
    """Return the orders that were approved after the engine was told of the kill: none, however slow the machine was."""
    said, state = list[str](), TradingState.ACTIVE
    for message in journal:
        if isinstance(message, KillSwitchState) and message.source == KILL_SWITCH:
            state = message.state
        elif isinstance(message, OrderEvent) and state is not TradingState.ACTIVE:
            said.append(f"I4: order {message.client_order_id} was approved while the kill switch was {state}")
    return said


def late_ns(plan: FaultPlan) -> int:
    """Return how much later than it left the venue may write down a request, which arrives late or by another clock."""
    late_s = sum(_late_s(spec) for spec in plan.faults)
    return round(late_s * NS_PER_S)


def _late_s(spec: FaultSpec) -> float:
    late = {"A3": "delay_s", "A17": "offset_s"}.get(spec.fault)
    return 0.0 if late is None else abs(spec.number(late))
