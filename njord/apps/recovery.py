"""Where did a session stop? Its journal in, a host that stands where it stood out.

A fresh host is run over what came from outside (`contracts.EXTERNAL`); everything that it makes by itself, timers, the
venue's words, decisions, must be what was recorded, byte for byte. Where a crash cut something off, the host makes it
again and it is appended. A record that the host makes by itself belongs to the market's next row: it fell due on the
way to it.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from njord.apps.live_host import LiveHost
from njord.backtest.host import SimulatedHost, ends_data
from njord.backtest.recorded_run import RecordedRows
from njord.core.codec import decode
from njord.core.contracts import (
    EXTERNAL,
    INBOUND,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderUpdate,
    Ref,
    RunStarted,
    TimerFired,
)
from njord.core.errors import JournalError
from njord.storage.journal import JournalWriter
from njord.storage.tape import ROWS, Difference, Recorded, Tape, shown

_HOST_MADE: Final = (TimerFired, OrderUpdate, FillEvent, FundingEvent)
_STEPS_SHOWN = 8192


class SessionJournal:
    """What a session's engine writes: it is compared with the tape as long as there is one, then appended.

    Args:
        writer: Stands behind the tape's last message.
        tape: What was written before; None for a new session.

    Attributes:
        heard: Everything that is appended, if somebody listens; None if nobody does.
    """

    def __init__(self, writer: JournalWriter, tape: Tape | None) -> None:
        self._writer = writer
        self._tape = tape
        self.heard: list[Message] | None = None

    def append(self, message: Message) -> None:
        """Record `message` as the next one."""
        if self._tape is not None:
            if self._tape.peek() is not None:
                self._tape.append(message)
                return
            self._tape = None
        self._writer.append(message)
        if self.heard is not None:
            self.heard.append(message)

    def sync(self) -> None:
        """Return once all of it survives a power cut; what is on the tape does already."""
        if self._tape is None or self._tape.peek() is None:
            self._writer.sync()


class Recovered(msgspec.Struct):
    """What a session has seen.

    Attributes:
        n_rows: Messages of the market.
        refs: Those told of the block that the next message of the market comes from.
        controls: The last word of every source that can stop trading.
        has_started: Whether the run's first record is there.
    """

    n_rows: int = 0
    refs: tuple[Ref, ...] = ()
    controls: dict[str, KillSwitchState] = msgspec.field(default_factory=dict)
    has_started: bool = False


Step = Callable[[Recorded, Recovered], None]


def recover(
    tape: Tape, host: SimulatedHost, market: RecordedRows, on_seq: Callable[[int], None]
) -> Recovered:
    """Run a fresh host to where the tape ends.

    Args:
        tape: What was written; the host's engine writes to a `SessionJournal` over it.
        host: Fresh.
        market: From its start.
        on_seq: Told of the sequence number now and then.

    Raises:
        JournalError: The host makes something else than what was written; the sequence number is named.
    """
    return _run_again(tape, market, on_seq, lambda recorded, seen: _step(recorded, host, market, seen))


def recover_live(
    tape: Tape, host: LiveHost, market: RecordedRows, on_seq: Callable[[int], None]
) -> Recovered:
    """Run a fresh live host to where the tape ends; see `recover`. All that comes in stands in the journal; nothing is sent."""
    host.is_replaying = True
    try:
        return _run_again(
            tape, market, on_seq, lambda recorded, seen: _live_step(recorded, host, market, seen)
        )
    finally:
        host.is_replaying = False


def _run_again(tape: Tape, market: RecordedRows, on_seq: Callable[[int], None], step: Step) -> Recovered:
    seen, n_steps = Recovered(), 0
    try:
        while (recorded := tape.peek()) is not None:
            step(recorded, seen)
            if tape.peek() is recorded:
                raise Difference(recorded.seq, f"recorded {_text(recorded)}, nothing makes it now")
            n_steps += 1
            if n_steps % _STEPS_SHOWN == 0:
                on_seq(tape.seq)
    except Difference as difference:
        raise JournalError(
            f"the session can not go on: its journal differs at message {difference.seq}: {difference}"
        ) from None
    seen.refs = market.told
    return seen


def _live_step(recorded: Recorded, host: LiveHost, market: RecordedRows, seen: Recovered) -> None:
    message = None if recorded.message is None else decode(recorded.message)
    if message is None:
        row = market.next(recorded.seq)
        seen.n_rows += 1
        host.accept(row)
    elif isinstance(message, ROWS) or not isinstance(message, INBOUND):
        raise Difference(recorded.seq, f"recorded {_text(recorded)}, which nothing makes now")
    elif isinstance(message, TimerFired):
        host.fired(message)
    else:
        if isinstance(message, KillSwitchState):
            seen.controls[message.source] = message
        elif isinstance(message, Ref):
            market.refer(message, recorded.seq)
        seen.has_started |= isinstance(message, RunStarted)
        host.tell(message)


def _step(recorded: Recorded, host: SimulatedHost, market: RecordedRows, seen: Recovered) -> None:
    message = None if recorded.message is None else decode(recorded.message)
    if message is None or isinstance(message, _HOST_MADE):
        row = market.next(recorded.seq)
        seen.n_rows += 1
        host.accept(row)
    elif isinstance(message, ROWS) or not isinstance(message, EXTERNAL):
        raise Difference(recorded.seq, f"recorded {_text(recorded)}, which nothing makes now")
    elif isinstance(message, KillSwitchState):
        seen.controls[message.source] = message
        if ends_data(message):
            host.finish()  # The end of the data: it says so itself.
        else:
            host.tell(message)
    else:
        if isinstance(message, Ref):
            market.refer(message, recorded.seq)
        seen.has_started |= isinstance(message, RunStarted)
        host.tell(message)


def _text(recorded: Recorded) -> str:
    return "a market data row" if recorded.message is None else shown(recorded.message)
