"""What time is it at the venue, and how sure are we? In come measured round trips, out goes an offset with its doubt.

A measurement says that the venue read its clock somewhere between our sending and our hearing: its time less the middle
of the two, give or take half the round trip. The shortest round trip of the last ones is believed. A measurement that
contradicts it, doubts included, means that one of the clocks was set: what was known before is dropped, and no order
leaves until a second measurement confirms the new time.
"""

from collections import deque

import msgspec

from njord.core.units import NS_PER_MINUTE, NS_PER_MS

_KEPT = 8
_KEPT_NS = 10 * NS_PER_MINUTE
# Two clocks drift apart by some 50 us a second at worst, and the venue tells whole milliseconds.
_DRIFT = 20_000
_SLACK_NS = 5 * NS_PER_MS


class _Sample(msgspec.Struct, frozen=True):
    offset_ns: int
    doubt_ns: int
    at_ns: int


class VenueClock:
    """The venue's clock as seen from the host's.

    Args:
        tolerance_ns: Largest doubt that is traded with.
        offset_max_ns: Largest distance of the two clocks that is traded with.
    """

    def __init__(self, tolerance_ns: int, offset_max_ns: int) -> None:
        self._tolerance_ns = tolerance_ns
        self._offset_max_ns = offset_max_ns
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._doubted = False  # A clock was set, or the venue refuses our time.
        self.offset_ns = 0
        self.doubt_ns = -1  # Not measured yet.

    def measured(self, sent_ns: int, heard_ns: int, server_ns: int) -> int:
        """Take one measurement; return by how much the venue's clock was set, 0 if it was not."""
        round_trip_ns = max(0, heard_ns - sent_ns)
        sample = _Sample(server_ns - (sent_ns + round_trip_ns // 2), round_trip_ns // 2, heard_ns)
        while self._samples and self._samples[0].at_ns < heard_ns - _KEPT_NS:
            self._samples.popleft()
        step_ns = 0
        if self._samples:
            best = self._best(heard_ns)
            distance = sample.offset_ns - best.offset_ns
            if abs(distance) > sample.doubt_ns + self._doubt(best, heard_ns) + _SLACK_NS:
                step_ns = distance
                self._samples.clear()
        self._doubted = bool(step_ns)
        self._samples.append(sample)
        best = self._best(heard_ns)
        self.offset_ns, self.doubt_ns = best.offset_ns, self._doubt(best, heard_ns)
        return step_ns

    def refused(self) -> None:
        """Take note that the venue refuses our time: it must be measured anew."""
        self._doubted = True

    def trouble(self) -> str:
        """Return why the venue's time can not be traded with, empty if it can."""
        if self.doubt_ns < 0:
            return "clock: the venue's time was not measured yet"
        if self._doubted:
            return "clock: the venue's time has changed, or is refused"
        if self.doubt_ns > self._tolerance_ns:
            return "clock: the venue's time is too uncertain"
        if abs(self.offset_ns) > self._offset_max_ns:
            return "clock: the venue's time is too far from ours"
        return ""

    @property
    def needs_more(self) -> bool:
        """Whether it should be measured again at once."""
        return self.doubt_ns < 0 or self._doubted or self.doubt_ns > self._tolerance_ns

    def venue_ns(self, now_ns: int) -> int:
        """Return the venue's time, as well as it is known."""
        return now_ns + self.offset_ns

    def _best(self, now_ns: int) -> _Sample:
        return min(self._samples, key=lambda each: (self._doubt(each, now_ns), -each.at_ns))

    @staticmethod
    def _doubt(sample: _Sample, now_ns: int) -> int:
        return sample.doubt_ns + max(0, now_ns - sample.at_ns) // _DRIFT
