"""How long may a flattening trip keep trading open? The switch's word in, the word to act on out.

REDUCE_ONLY with `flattens` lasts until the account is flat, or until its time is up; then it is HALTED, and stays so
until the switch says something else. The time is a person's, not the engine's: a replay may run at any speed.
"""

from collections.abc import Callable

import msgspec

from njord.adapters.kill_switch_watch import Reading
from njord.core.types import TradingState


class FlattenWatch:
    """Turns a flattening word into HALTED when it is done.

    Args:
        within_s: How long closing may take.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._asked: Reading | None = None  # The trip under way.
        self._until_s = 0.0
        self._ended: Reading | None = None  # What has become of it.

    def judge(self, reading: Reading, is_flat: Callable[[], bool], now_s: float) -> Reading:
        """Return the word to act on.

        Args:
            reading: The switch's.
            is_flat: Asked only while positions are being closed, after their cancels and orders had a chance to leave.
            now_s: Of a clock that nobody can set back.
        """
        if not reading.flattens:
            self._asked = self._ended = None
            return reading
        if self._asked is None:
            self._asked, self._until_s = reading, now_s + self._within_s
            return reading
        if self._ended is None:
            if is_flat():
                self._ended = _halted(reading, "flat")
            elif now_s >= self._until_s:
                self._ended = _halted(reading, f"not flat within {self._within_s:g} s")
        return self._ended or reading


def _halted(reading: Reading, outcome: str) -> Reading:
    reason = f"{reading.reason} ({outcome})" if reading.reason else outcome
    return msgspec.structs.replace(reading, state=TradingState.HALTED, flattens=False, reason=reason)
