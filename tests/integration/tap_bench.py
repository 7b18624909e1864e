"""Journals that are told apart by their numbers, and what of them is in Redis; shared by the tests of the tap."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from njord.adapters.redis_bus import RedisBus
from njord.adapters.redis_session import SessionStream
from njord.apps.tap_journal import Tap, session_id
from njord.core.contracts import KillSwitchState, Message, OrderIntent, TimerFired
from njord.core.types import Side, TradingState
from njord.core.units import FOREVER_NS
from njord.storage.journal import JournalWriter


def message(number: int) -> Message:
    """The `number`-th message of a session: intents, timers that stay at home, now and then a switch."""
    if number % 10 == 0:
        return KillSwitchState(ts_ns=number, state=TradingState.ACTIVE, source="t", valid_until_ns=FOREVER_NS)
    if number % 3 == 0:
        return TimerFired(ts_ns=number, strategy_id="s", instrument=0, key="k", due_ns=number)
    return OrderIntent(ts_ns=number, strategy_id="s", intent_id=f"s-{number}", side=Side.BUY, qty_lots=1)


INTENTS = [number for number in range(1, 10_000) if number % 3 and number % 10]


def write(writer: JournalWriter, n_messages: int, block: int = 40) -> None:
    """Write on to message `n_messages`."""
    while writer.n_messages < n_messages:
        writer.append(message(writer.n_messages + 1))
        if writer.n_messages % block == 0:
            writer.commit()
    writer.commit()


def intents(bus: RedisBus) -> list[int]:
    """Return the numbers of all intents in the stream, as they lie there."""
    consumer = bus.consumer("strat.intent", f"g{time.monotonic_ns()}", "a")
    found: list[int] = []
    while deliveries := consumer.read():
        for delivery in deliveries:
            found += [msgspec.json.decode(line)["seq"] for line in delivery.frame.payloads]
    return found


def until(claim: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until `claim` holds."""
    end = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def tap_of(folder: Path, bus: RedisBus) -> Tap:
    session = session_id(folder)
    return Tap(folder, SessionStream(bus, session, 10_000), session)
