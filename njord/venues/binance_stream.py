"""Is the account's stream open, and does it live? In come openings, closings and events; out goes which one to open.

A socket may be open and dead. So what a REST answer tells first must come by the stream as well, soon; where nothing
at all comes any more, the stream is dead and opened anew. Openings that fail, or do not last, are spaced out.
"""

from collections.abc import Callable

from njord.core.units import FOREVER_NS, NS_PER_MINUTE, NS_PER_S
from njord.venues.binance_clock import VenueClock
from njord.venues.binance_options import CoreOptions, StreamKind, StreamWish

_LASTING_NS = NS_PER_MINUTE  # An opening that held for so long was no failure.
_OPENING_NS = 2 * NS_PER_S  # What happens so soon after an opening may have happened before it.


class UserStream:
    """The account's stream.

    Args:
        options: Its kind, and how patient to be.
        clock: The venue's.
        patience_ns: Of so many failures in a row.

    Attributes:
        wish: What should be open.
        is_open: Whether events come.
        trouble: Why it is not open.
    """

    def __init__(self, options: CoreOptions, clock: VenueClock, patience_ns: Callable[[int], int]) -> None:
        self._options = options
        self._clock = clock
        self._patience_ns = patience_ns
        self.wish = StreamWish()
        self.is_open = False
        self.trouble = "it was not opened yet"
        self._n_failed = 0
        self._opened_ns = self._heard_ns = 0
        self._give_up_ns = FOREVER_NS
        self._open_at_ns = 0
        self._expected: dict[str, int] = {}

    @property
    def next_ns(self) -> int:
        """When it wants to be looked at."""
        is_closed = self.wish.kind is StreamKind.NONE and self._options.stream is not StreamKind.NONE
        opens_ns = self._open_at_ns if is_closed else FOREVER_NS
        return min(opens_ns, self._give_up_ns, self._late_ns())

    def wants_opening(self, now_ns: int) -> bool:
        """Whether it is time to open one."""
        return self.wish.kind is StreamKind.NONE and now_ns >= self._open_at_ns

    def open(self, listen_key: str, now_ns: int) -> None:
        """Wish for a connection."""
        self.wish = StreamWish(
            kind=self._options.stream, listen_key=listen_key, generation=self.wish.generation + 1
        )
        self._give_up_ns = now_ns + self._options.stream_open_ns

    def opened(self, now_ns: int) -> None:
        """Take note that events come."""
        if self.wish.kind is StreamKind.NONE:
            return
        self.is_open = True
        self._opened_ns = self._heard_ns = now_ns
        self._give_up_ns = FOREVER_NS

    def closed(self, why: str, now_ns: int) -> None:
        """Take note that it is gone, or let it go; the next one is opened after a wait."""
        if self.wish.kind is StreamKind.NONE:
            return
        lasted = self.is_open and now_ns - self._opened_ns >= _LASTING_NS
        self._n_failed = 1 if lasted else self._n_failed + 1
        self.trouble, self.is_open = why, False
        self.wish = StreamWish(generation=self.wish.generation)
        self._open_at_ns = now_ns + self._patience_ns(self._n_failed)
        self._give_up_ns = FOREVER_NS
        self._expected.clear()

    def heard(self, now_ns: int, *names: str) -> None:
        """Take note of an event, of the order and trade that it names."""
        self._heard_ns = now_ns
        for name in names:
            self._expected.pop(name, None)

    def expect(self, name: str, ts_venue_ns: int, now_ns: int) -> None:
        """Take note that REST has told something that the stream must tell as well, if it happened in its time."""
        if self.is_open and ts_venue_ns > self._clock.venue_ns(self._opened_ns) + _OPENING_NS:
            self._expected.setdefault(name, now_ns)

    def check(self, now_ns: int) -> str:
        """Let go of what does not open, or is dead; return a line where single events are missing."""
        if now_ns >= self._give_up_ns:
            self.closed("it did not open in time", now_ns)
        if now_ns < self._late_ns():
            return ""
        since_ns = next(iter(self._expected.values()))
        if self._heard_ns <= since_ns:
            self.closed("it is silent", now_ns)
            return ""
        late = [
            name for name, at_ns in self._expected.items() if at_ns + self._options.stream_late_ns <= now_ns
        ]
        for name in late:
            del self._expected[name]
        return ", ".join(late)

    # The oldest stands first.
    def _late_ns(self) -> int:
        for since_ns in self._expected.values():
            return since_ns + self._options.stream_late_ns
        return FOREVER_NS
