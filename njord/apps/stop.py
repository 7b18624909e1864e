"""What happens to orders and positions when a session stops? A policy in; the word to the engine, and what is left, out.

`cancel` cancels every working order, `leave` leaves them at the venue, `flatten` cancels them and closes positions.
Nothing that is left goes unsaid.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from njord.apps.status import OrderLine, PositionLine, order_lines, position_lines
from njord.core.contracts import KillSwitchState
from njord.core.types import TradingState
from njord.core.units import FOREVER_NS
from njord.system import System

NODE = "node"  # The source of what a node says of itself.


class StopPolicy(StrEnum):
    """What a stop does."""

    CANCEL = "cancel"
    LEAVE = "leave"
    FLATTEN = "flatten"


class LeftOrder(msgspec.Struct, frozen=True):
    """An order that works on, and why."""

    order: OrderLine
    why: str


class LeftPosition(msgspec.Struct, frozen=True):
    """A position that stays open, and why."""

    position: PositionLine
    why: str


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a node's run ended.

    Attributes:
        reason: In words: `end of data`, `signal SIGTERM`, `strategy failed: …`, `feed failed: …`, `journal halted: …`.
        finished: The session is over; otherwise the same command goes on with it.
        left: Orders that work on.
        positions: What is held.
        strategy_failed: Every strategy was suspended.
        feed_failed: The feed has given up.
        halted: The journal refused: nothing was sent any more.
    """

    reason: str
    finished: bool = False
    left: tuple[LeftOrder, ...] = ()
    positions: tuple[LeftPosition, ...] = ()
    strategy_failed: bool = False
    feed_failed: bool = False
    halted: bool = False


def stop_word(policy: StopPolicy, now_ns: int, reason: str) -> KillSwitchState:
    """Return what the engine is told when a session stops."""
    is_flatten = policy is StopPolicy.FLATTEN
    return KillSwitchState(
        ts_ns=now_ns,
        state=TradingState.REDUCE_ONLY if is_flatten else TradingState.HALTED,
        source=NODE,
        valid_until_ns=FOREVER_NS,
        reason=reason,
        cancels=policy is not StopPolicy.LEAVE,
        flattens=is_flatten,
    )


def go_word(now_ns: int) -> KillSwitchState:
    """Return what the engine is told when a stopped session goes on."""
    return KillSwitchState(
        ts_ns=now_ns, state=TradingState.ACTIVE, source=NODE, valid_until_ns=FOREVER_NS, reason="resumed"
    )


def is_settled(policy: StopPolicy, system: System, now_ns: int) -> bool:
    """Say whether a stop has reached what its policy wants."""
    if policy is StopPolicy.LEAVE:
        return True
    if policy is StopPolicy.FLATTEN:
        return system.flattener.is_flat(now_ns)
    return not system.oms.working


def left_orders(system: System, policy: StopPolicy, halt: str = "") -> Iterator[LeftOrder]:
    """Yield the orders that work on.

    Args:
        system: What was stopped.
        policy: By which it was.
        halt: Why nothing could be sent; empty if it could.
    """
    if halt:
        why = f"nothing could be sent: {halt}"
    elif policy is StopPolicy.LEAVE:
        why = "the stop policy is leave: it works on when the session goes on"
    else:
        why = "its cancel is on its way: the venue has not answered yet"
    for line in order_lines(system):
        yield LeftOrder(line, why)


def left_positions(
    system: System, policy: StopPolicy | None, now_ns: int, halt: str = ""
) -> Iterator[LeftPosition]:
    """Yield the positions that stay open.

    Args:
        system: What was stopped.
        policy: By which it was; None = the data have ended.
        now_ns: The market's time.
        halt: Why nothing could be sent; empty if it could.
    """
    for line in position_lines(system):
        if halt:
            why = f"nothing could be sent: {halt}"
        elif policy is None:
            why = "the data have ended: it is marked, not closed"
        elif policy is not StopPolicy.FLATTEN:
            why = f"the stop policy is {policy}: positions are kept"
        elif system.flattener.closable_lots(line.instrument, now_ns):
            why = "its closing order is on its way: the venue has not answered yet"
        else:
            why = "it is smaller than the venue's smallest order"
        yield LeftPosition(line, why)
