"""What keeps a node going: it is started again whenever it ends, unless a person has to act first.

A node that refuses to start while the venue is in trouble, or locked, says so by its exit code and is tried again; any
other end is worth a word.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from njord.adapters.clock import Stopwatch
from njord.simulation.processes import AGAIN_S, REFUSALS, NodeProcess

STOP_WITHIN_S: Final = 60.0  # It promises 5 s, on a machine that has a core for it.
_INTERRUPTED: Final = 130
_MAY_END: Final = REFUSALS | {0}  # 0: the feed has ended.
_FINAL: Final = ("alert", "critical", "broker")  # What the broker does not come back from by itself.
Event = dict[str, Any]


class Keeper:
    """Keeps one node going; a context manager.

    Args:
        make: Starts a node.
        log: Where what nodes have said is added to, for who looks into it later.

    Attributes:
        may_start: Whether a node that ended is started again.
        n_refused: Nodes that ended by themselves and may do so.
        said: What must not be, one line each.
    """

    def __init__(self, make: Callable[[], NodeProcess], log: Path) -> None:
        self._make = make
        self._log = log
        self._node: NodeProcess | None = None
        self._is_ended = True  # And that has been looked at.
        self._since_end = Stopwatch()
        self._n_lives = 0
        self.may_start = True
        self.n_refused = 0
        self.said: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def begin(self) -> None:
        """Start a node; the one before it has ended."""
        self._let_go()
        self._node = self._make()
        self._is_ended = False

    def look(self) -> None:
        """Start a node again that has ended, after a moment."""
        if not self._is_ended and not self.is_running:
            self._note(self._wait())
            self.n_refused += 1
        if self._is_ended and self.may_start and self._since_end.elapsed_s() > AGAIN_S:
            self.begin()

    def kill(self) -> None:
        """End the node at once; it is started again."""
        if self._node is not None and not self._is_ended:
            self._node.kill()
            self._ended()

    def end(self) -> None:
        """Ask the node for its end; it stays ended until the next `begin`."""
        self.may_start = False
        if self._node is not None and not self._is_ended:
            if self._node.is_running:
                code = self._node.stop(STOP_WITHIN_S)
                # Before it has taken the session up, an end is an interrupted start, or a refusal.
                if code and (self.has_started or code not in (_INTERRUPTED, *_MAY_END)):
                    self.said.append(f"the node was stopped and ended with exit code {code}: {self.errors()}")
            else:
                self._note(self._wait())
            self._ended()

    def _wait(self) -> int:
        assert self._node is not None
        return self._node.wait(STOP_WITHIN_S)

    def _note(self, code: int) -> None:
        if code not in _MAY_END:
            self.said.append(f"the node ended by itself with exit code {code}: {self.errors()}")
        self._ended()

    def _ended(self) -> None:
        self._is_ended, self._since_end = True, Stopwatch()

    def _let_go(self) -> None:
        if self._node is None:
            return
        self._node.__exit__()
        self._n_lives += self.has_started
        with self._log.open("a", encoding="utf-8") as log:
            log.writelines(f"{json.dumps(event)}\n" for event in self._events)
        self._node = None

    # --- what the node says ---

    @property
    def n_lives(self) -> int:
        """How many nodes took the session up."""
        return self._n_lives + self.has_started

    @property
    def is_running(self) -> bool:
        """Whether a node runs."""
        return self._node is not None and self._node.is_running

    @property
    def n_events(self) -> int:
        """How many events the node has said."""
        return len(self._events)

    @property
    def venue_word(self) -> Event:
        """The node's last word on its connection to the venue; empty if there was none."""
        return self._last(lambda event: event["event"] == "switch" and event["source"] == "venue")

    @property
    def is_active(self) -> bool:
        """Whether a node runs, and its connection lets orders pass."""
        return self.is_running and self.venue_word.get("state") == "active"

    @property
    def is_withdrawing(self) -> bool:
        """Whether the node has found the switch tripped: it only takes its orders back, and ends by itself."""
        return any(event["event"] == "withdrawal" for event in self._events)

    @property
    def needs_person(self) -> bool:
        """Whether the node has said that it waits for a person, and still does."""
        told = self._last(
            lambda event: (
                (event["event"] == "switch" and event["source"] == "venue" and event["state"] == "active")
                or (event["event"], event.get("severity"), event.get("source")) == _FINAL
            )
        )
        return told.get("event") == "alert"

    def status(self, since: int) -> Event | None:
        """Return how the node stands, if it has said so since its event number `since`."""
        found = [event for event in self._events[since:] if event["event"] == "status"]
        return found[-1] if found else None

    def errors(self) -> str:
        """Return the end of what it said on its error output."""
        return "it was never started" if self._node is None else self._node.errors()

    @property
    def _events(self) -> list[Event]:
        return [] if self._node is None else list(self._node.events)

    @property
    def has_started(self) -> bool:
        """Whether the node has taken the session up."""
        return any(event["event"] == "started" for event in self._events)

    def _last(self, is_it: Callable[[Event], bool]) -> Event:
        return next((event for event in reversed(self._events) if is_it(event)), {})
