"""Where a session shows itself: a live picture on a terminal, lines or JSON objects anywhere else."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Protocol, cast

import msgspec
from rich.console import Console
from rich.live import Live

from njord.adapters.clock import Stopwatch
from njord.apps.status import NodeStatus
from njord.cli.outlet import Outlet
from njord.cli.paper_events import Event, Events, status_event
from njord.cli.paper_view import Facts, picture
from njord.core.contracts import Message
from njord.core.instrument import Instrument

HEARTBEAT_S = 5.0
_PICTURE_EVERY_S = 0.25
_RATE_OVER = 40  # Pictures.


class Screen(Protocol):
    """What a running session is shown on."""

    every_s: float

    def hear(self, messages: Sequence[Message]) -> None:
        """Show what has happened."""

    def notice(self, text: str) -> None:
        """Show what the feed has to say."""

    def draw(self, status: NodeStatus) -> None:
        """Show how it stands; called every `every_s` seconds."""

    def last(self, status: NodeStatus) -> None:
        """Show how it stood when it ended."""

    def end(self) -> None:
        """Show nothing more."""


class EventScreen:
    """One line for each event, and now and then one that says how it stands.

    Args:
        outlet: Where lines go.
        instruments: Of the run.
        written: How an event becomes a line.
        bus: Says how what publishes is.
    """

    every_s = HEARTBEAT_S

    def __init__(
        self,
        outlet: Outlet,
        instruments: Sequence[Instrument],
        written: Callable[[Event], str],
        bus: Callable[[], str] = lambda: "",
    ) -> None:
        self._outlet = outlet
        self._events = Events(instruments)
        self._written = written
        self._bus = bus

    def hear(self, messages: Sequence[Message]) -> None:
        """Write what of `messages` is an event."""
        for event in self._events.of(messages):
            self._outlet.write(self._written(event) + "\n")

    def notice(self, text: str) -> None:
        """Write it."""
        self._outlet.write(self._written({"event": "feed", "message": text}) + "\n")

    def draw(self, status: NodeStatus) -> None:
        """Write how it stands."""
        self._outlet.write(self._written(status_event(status, self._bus())) + "\n")

    def last(self, status: NodeStatus) -> None:
        """What is said at the end says it."""

    def end(self) -> None:
        """Nothing is open."""


class LiveScreen:
    """A picture that is drawn again and again in its place.

    Args:
        outlet: Of a terminal.
        facts: What does not change.
        bus: Says how what publishes is.
    """

    every_s = _PICTURE_EVERY_S

    def __init__(self, outlet: Outlet, facts: Facts, bus: Callable[[], str] = lambda: "") -> None:
        self._outlet = outlet
        self._facts = facts
        self._bus = bus
        self._watch = Stopwatch()
        self._past: deque[tuple[float, int]] = deque(maxlen=_RATE_OVER)
        self._console = Console(
            file=cast(IO[str], outlet), force_terminal=True
        )  # Looks for the size at every picture.
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")

    def hear(self, messages: Sequence[Message]) -> None:
        """The picture shows what has come of them."""

    def notice(self, text: str) -> None:
        """Let the next picture say it."""
        self._facts = msgspec.structs.replace(self._facts, notice=text)

    def draw(self, status: NodeStatus) -> None:
        """Draw the picture, unless the terminal is still busy with the last one."""
        if self._outlet.is_idle:
            self.last(status)

    def last(self, status: NodeStatus) -> None:
        """Draw the picture, also where the terminal is busy."""
        self._past.append((self._watch.elapsed_s(), status.n_rows))
        facts = msgspec.structs.replace(self._facts, left_s=self._left_s(status), bus=self._bus())
        if not self._live.is_started:
            self._live.start()
        width, height = self._console.size
        self._live.update(picture(status, facts, width, height), refresh=True)

    def end(self) -> None:
        """Leave the last picture where it is."""
        if self._live.is_started:
            self._live.stop()

    def _left_s(self, status: NodeStatus) -> float | None:
        (then_s, n_then), (now_s, n_now) = self._past[0], self._past[-1]
        if status.n_rows_total is None or n_now <= n_then:
            return None
        return (status.n_rows_total - n_now) * (now_s - then_s) / (n_now - n_then)
