"""The way between a host and the local exchange, on a virtual clock: requests by `Fate`, streams in order, all late.

A request and its answer each take their own time, so that one may overtake another; what one connection carries stays
in order, as TCP keeps it. The exchange is advanced whenever something happens there by itself.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

import msgspec

from njord.core.units import FOREVER_NS, NS_PER_MS, NS_PER_S
from njord.exchange.wire import Fate, Frame, Request, Response, Served
from njord.simulation.virtual_time import VirtualTime
from njord.venues.broker_wire import Answer, NoAnswer

Answered = Callable[[Answer | NoAnswer], None]


class LinkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How long one way takes: at least `floor_ms`, more by an exponential of mean `mean_ms`, at times `spike_ms`."""

    floor_ms: float = 5.0
    mean_ms: float = 15.0
    spike_share: float = 0.002
    spike_ms: float = 1500.0


class Ear(Protocol):
    """Who listens to one connection."""

    def opened(self) -> None:
        """It is open."""

    def heard(self, text: str) -> None:
        """A frame has come."""

    def closed(self, detail: str) -> None:
        """It has ended, or was never opened."""


class _Connection(msgspec.Struct):
    ear: Ear
    is_open: bool = False  # At the exchange.
    is_left: bool = False  # By its host, who hears nothing more.
    arrived_ns: int = 0  # When its last frame arrives.


class ExchangeLink:
    """Carries requests and streams of one host.

    Args:
        time: The clock.
        served: The exchange.
        random: Of the delays.
        terms: How long a way takes.
        address: The host's.

    Attributes:
        n_requests: Sent so far.
    """

    def __init__(
        self, time: VirtualTime, served: Served, random: Random, terms: LinkTerms, address: str = "127.0.0.1"
    ) -> None:
        self._time = time
        self._served = served
        self._random = random
        self._terms = terms
        self._address = address
        self._connections: dict[int, _Connection] = {}
        self._n_connections = 0
        self._tick_ns = FOREVER_NS  # When the exchange is to be advanced next.
        self.n_requests = 0

    def start(self) -> None:
        """Let the exchange's time run."""
        self._settle()

    def _delay_ns(self) -> int:
        terms, random = self._terms, self._random
        delay_ms = terms.floor_ms + random.expovariate(1 / terms.mean_ms)
        if random.random() < terms.spike_share:
            delay_ms += random.random() * terms.spike_ms
        return round(delay_ms * NS_PER_MS)

    # --- the exchange's own time ---

    def _tick(self) -> None:
        self._tick_ns = FOREVER_NS
        self._served.advance(self._time.now_ns())
        self._settle()

    # After anything happened there: what it sends goes on its way, and it is woken when it wants to be.
    def _settle(self) -> None:
        for frame in self._served.frames():
            self._carry(frame)
        next_ns = self._served.next_ns
        if next_ns < self._tick_ns:
            self._tick_ns = next_ns
            self._time.at(next_ns, self._tick)

    # --- requests ---

    def send(self, request: Request, deadline_ns: int, answered: Answered) -> None:
        """Send a request; `answered` is called once, at the deadline at the latest."""
        self.n_requests += 1
        now_ns = self._time.now_ns()
        fate = self._served.fate(request, now_ns)
        call = _Call(answered)
        self._time.at(deadline_ns, lambda: call.end(NoAnswer(was_sent=True, detail="no answer in time")))
        if not fate.loses_request:
            arrives_ns = now_ns + self._delay_ns() + fate.request_delay_ns
            self._time.at(arrives_ns, lambda: self._arrive(request, fate, call))

    def _arrive(self, request: Request, fate: Fate, call: "_Call") -> None:
        now_ns = self._time.now_ns()
        self._served.advance(now_ns)
        response = self._served.request(request, now_ns)
        self._settle()
        if fate.loses_response:
            return
        back_ns = now_ns + self._delay_ns() + fate.response_delay_ns
        if fate.bytes_per_s:
            back_ns += len(response.body) * NS_PER_S // fate.bytes_per_s
        self._time.at(back_ns, lambda: call.end(_answer(response, fate)))

    # --- streams ---

    def connect(self, path: str, query: str, ear: Ear) -> int:
        """Open a connection; return its number."""
        self._n_connections += 1
        number = self._n_connections
        self._connections[number] = connection = _Connection(ear)

        def arrive() -> None:
            if connection.is_left:
                return
            now_ns = self._time.now_ns()
            self._served.advance(now_ns)
            connection.is_open = self._served.opened(number, path, query, self._address, now_ns)
            if connection.is_open:
                self._time.at(self._next_ns(connection), lambda: None if connection.is_left else ear.opened())
            else:
                self._end(number, connection, "turned away")
            self._settle()

        self._time.at(self._time.now_ns() + self._delay_ns(), arrive)
        return number

    def say(self, number: int, text: str) -> None:
        """Send a frame."""
        connection = self._connections.get(number)

        def arrive() -> None:
            if connection is not None and connection.is_open:
                now_ns = self._time.now_ns()
                self._served.advance(now_ns)
                self._served.said(number, text, now_ns)
                self._settle()

        self._time.at(self._time.now_ns() + self._delay_ns(), arrive)

    def leave(self, number: int) -> None:
        """Close a connection from this side; nothing more is heard of it."""
        connection = self._connections.pop(number, None)
        if connection is None:
            return
        connection.is_left = True

        def arrive() -> None:
            if connection.is_open:
                connection.is_open = False
                self._served.closed(number, self._time.now_ns())
                self._settle()

        self._time.at(self._time.now_ns() + self._delay_ns(), arrive)

    def _carry(self, frame: Frame) -> None:
        connection = self._connections.get(frame.connection)
        if connection is None or connection.is_left:
            return
        text = frame.text
        if text is None:
            self._end(frame.connection, connection, f"closed by the exchange ({frame.close_code})")
            return
        self._time.at(
            self._next_ns(connection), lambda: None if connection.is_left else connection.ear.heard(text)
        )

    def _end(self, number: int, connection: _Connection, detail: str) -> None:
        was_open, connection.is_open = connection.is_open, False
        if was_open:
            self._served.closed(number, self._time.now_ns())

        def arrive() -> None:
            if not connection.is_left:
                connection.is_left = True
                self._connections.pop(number, None)
                connection.ear.closed(detail)

        self._time.at(self._next_ns(connection), arrive)

    # In order: nothing arrives before what was sent before it.
    def _next_ns(self, connection: _Connection) -> int:
        arrives_ns = self._time.now_ns() + self._delay_ns()
        connection.arrived_ns = max(connection.arrived_ns, arrives_ns)
        return connection.arrived_ns


class _Call:
    """A request under way: it is answered once."""

    def __init__(self, answered: Answered) -> None:
        self._answered: Answered | None = answered

    def end(self, answer: Answer | NoAnswer) -> None:
        """Answer it, unless it was answered before."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(answer)


def _answer(response: Response, fate: Fate) -> Answer | NoAnswer:
    if 0 <= fate.cuts_at < len(response.body):
        return NoAnswer(was_sent=True, detail=f"the answer broke off after {fate.cuts_at} bytes")
    return Answer(status=response.status, headers=dict(response.headers), body=response.body)
