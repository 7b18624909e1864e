"""What must the engine be told of the kill switch? Readings in; a word to the session's host when something changed, out.

The last word stands in the journal, so that a session that goes on knows what it was told. A switch that is cleared
is believed when our books and the venue's agree.
"""

from typing import Protocol

from njord.adapters.kill_switch_watch import Reading
from njord.apps.flatten_watch import FlattenWatch
from njord.apps.session import OpenSession
from njord.core.contracts import Alert, KillSwitchState
from njord.core.errors import InvariantError, VenueError
from njord.core.types import Severity, TradingState
from njord.core.units import FOREVER_NS

KILL_SWITCH = "kill_switch"  # The source, whichever place it was read from.


class ReadSwitch(Protocol):
    """The kill switch as it was last read."""

    def reading(self) -> Reading:
        """Return what counts now; never waits, never raises."""


class Switch:
    """Tells a session's host what the kill switch says.

    Args:
        session: Its journal says what was told before.
        flatten_within_s: How long orders that close positions pass.
    """

    def __init__(self, session: OpenSession, flatten_within_s: float) -> None:
        self._host = session.door
        self._flattener = session.system.flattener
        self._flatten = FlattenWatch(flatten_within_s)
        self._word = session.controls.get(KILL_SWITCH)  # The last one told.
        self._seen: Reading | None = None  # The same reading needs no second look.
        self._doubted: tuple[Reading, Severity] | None = (
            None  # It says ACTIVE, and the books do not bear it out.
        )

    def look(self, reading: Reading, now_s: float) -> None:
        """Tell the host what a reading says, if it has not been told.

        Args:
            reading: What the switch says now.
            now_s: On a clock that nobody can set back.
        """
        if reading is self._seen and not reading.flattens:
            return
        self._seen = reading
        wanted = self._flatten.judge(reading, self._is_flat, now_s)
        if self._is_told(wanted) or not self._may_go(wanted):
            return
        self._word = KillSwitchState(
            ts_ns=self._host.now_ns,
            state=wanted.state,
            source=KILL_SWITCH,
            valid_until_ns=FOREVER_NS,
            reason=wanted.reason,
            operator=wanted.operator,
            cancels=wanted.state is not TradingState.ACTIVE,
            flattens=wanted.flattens,
        )
        self._host.tell(self._word)

    def _is_flat(self) -> bool:
        return self._flattener.is_flat(self._host.now_ns)

    def _is_told(self, wanted: Reading) -> bool:
        word = self._word
        if word is None or word.state is TradingState.ACTIVE:
            return wanted.state is TradingState.ACTIVE
        told = (word.state, word.reason, word.operator, word.flattens)
        return told == (wanted.state, wanted.reason, wanted.operator, wanted.flattens)

    def _may_go(self, wanted: Reading) -> bool:
        if wanted.state is not TradingState.ACTIVE:
            return True
        try:
            self._host.reconcile()
        except VenueError as error:
            self._doubt(wanted, Severity.INFO, "the venue's books are not known yet", str(error))
            return False
        except InvariantError as error:
            self._doubt(wanted, Severity.CRITICAL, "books and venue disagree", str(error))
            return False
        return True

    # Told once of each; asked again: they may come to be known, and to agree.
    def _doubt(self, wanted: Reading, severity: Severity, why: str, message: str) -> None:
        self._seen = None
        if (wanted, severity) == self._doubted:
            return
        self._doubted = wanted, severity
        self._host.tell(
            Alert(
                ts_ns=self._host.now_ns,
                severity=severity,
                category="killswitch",
                source="node",
                title=f"the kill switch was cleared, and stays tripped: {why}",
                message=message,
            )
        )
