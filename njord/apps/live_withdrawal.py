"""What becomes of orders at the venue whose node is dead while the kill switch is tripped? They are taken back, no more.

A session that goes on under a tripped switch cancels every order of its own as soon as its broker runs, waits until the
venue's books are known and nothing works any more, closes positions where the trip says so, and ends. It tells the gate
that it stops before the venue's first word is heard, and takes that back only to let closing orders pass: whatever
happens to the switch meanwhile, nothing that adds risk is sent. What the trip spares, it spares.
"""

from pathlib import Path
from typing import Final

import msgspec

from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_host import LiveHost
from njord.apps.session_files import LIVE, SESSIONS
from njord.apps.stop import StopPolicy, stop_word
from njord.apps.switch import ReadSwitch
from njord.backtest.recorded_run import SESSION_FILE
from njord.core.contracts import KillSwitchState
from njord.core.types import TradingState
from njord.system import System

# An order that may still arrive is waited for a minute, and the venue's budget for another one.
WITHIN_S: Final = 240.0


class _Session(msgspec.Struct):
    kind: str = ""
    journal_head: str = ""


class Withdrawal:
    """Takes a session's orders back.

    Args:
        host: Of an open session that was not fed yet.
        system: The session's.
        tripped: What the switch says.
        flatten_within_s: How long closing may take, once the venue's books are known.
        within_s: How long everything before that may.

    Attributes:
        n_orders: That worked, or may have, when it began.
    """

    def __init__(
        self,
        host: LiveHost,
        system: System,
        tripped: Reading,
        flatten_within_s: float,
        within_s: float = WITHIN_S,
    ) -> None:
        self._host, self._system = host, system
        self._tripped = tripped
        self._flatten_within_s = flatten_within_s
        self._within_s = within_s
        self._until_s: float | None = None  # None before the first look.
        self._is_closing = False
        self.n_orders = len(system.oms.working)

    @property
    def n_left(self) -> int:
        """How many orders work, or may, that are to end."""
        return len(self._system.oms.working) - self.n_spared

    @property
    def n_spared(self) -> int:
        """How many orders only shrink a position, and stay: the trip says so."""
        return sum(order.reduce_only for order in self._system.oms.working) if self._spares else 0

    @property
    def has_work(self) -> bool:
        """Whether there is an order to cancel, or a position to close."""
        if self._tripped.flattens:
            return not self._system.flattener.is_flat(self._host.now_ns)
        return self.n_left > 0

    @property
    def reason(self) -> str:
        """Why the session ends."""
        why = f", {self._tripped.reason}" if self._tripped.reason else ""
        return f"the kill switch is {self._tripped.state}{why}"

    @property
    def policy(self) -> StopPolicy:
        """What the stop at its end does: what is spared stays."""
        return StopPolicy.LEAVE if self._spares else StopPolicy.CANCEL

    def watching(self, watch: ReadSwitch) -> ReadSwitch:
        """Return the switch as the node is to read it: when positions are closed is said here, not by its first word."""
        return _UntilKnown(watch)

    def look(self, now_s: float) -> bool:
        """Do what is due; return whether it is over. To be called before the venue's words are heard.

        Args:
            now_s: On a clock that nobody can set back.
        """
        if self._until_s is None:
            self._until_s = now_s + self._within_s
            word = self._word(StopPolicy.CANCEL)
            state = TradingState.REDUCE_ONLY if self._spares else word.state
            self._host.tell(msgspec.structs.replace(word, state=state))
        health = self._host.health
        is_known = health is not None and health.state is TradingState.ACTIVE
        if is_known and not self.n_left and self._tripped.flattens and not self._is_closing:
            self._is_closing, self._until_s = True, now_s + self._flatten_within_s
            self._host.tell(self._word(StopPolicy.FLATTEN))
        return (is_known and not self.has_work) or now_s >= self._until_s

    # As the trip itself does, see docs/kill-switch.md.
    @property
    def _spares(self) -> bool:
        return self._tripped.state is TradingState.REDUCE_ONLY and not self._tripped.flattens

    def _word(self, policy: StopPolicy) -> KillSwitchState:
        return stop_word(policy, self._host.now_ns, self.reason)


class _UntilKnown:
    def __init__(self, watch: ReadSwitch) -> None:
        self._watch = watch

    def reading(self) -> Reading:
        """See `ReadSwitch`."""
        return msgspec.structs.replace(self._watch.reading(), flattens=False)


def has_live_session(state: Path) -> bool:
    """Return whether there is a live session in the state folder that has not ended; one that is damaged counts."""
    return any(_may_go_on(path) for path in (state / SESSIONS).glob(f"*/{SESSION_FILE}"))


def _may_go_on(path: Path) -> bool:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Session)
    except (OSError, msgspec.MsgspecError):
        return True
    return found.kind == LIVE and not found.journal_head
