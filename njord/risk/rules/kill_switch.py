"""The first rule, always there: nothing that adds risk passes unless the kill switch is known to be ACTIVE."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import ACTIVE, RefusalReason, TradingState
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Numbers, Refusal, RiskRule, as_text, is_readable, refuse


class KillSwitch(RiskRule):
    """Refuse everything while HALTED, what does not shrink the position while REDUCE_ONLY; unknown = HALTED.

    Of several sources the strictest counts, and all must be fresh. A reading from the future is a clock that jumped:
    unknown.
    """

    name: ClassVar[str] = "kill_switch"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless fresh readings allow the intent."""
        reading, now_ns = exposure.kill_switch, intent.ts_ns
        if reading is None:
            return refuse(RefusalReason.KILL_SWITCH_UNKNOWN, reading="none")
        known_from_ns, known_until_ns = exposure.kill_switch_from_ns, exposure.kill_switch_until_ns
        if type(now_ns) is not int or not known_from_ns <= now_ns <= known_until_ns:
            return refuse(
                RefusalReason.KILL_SWITCH_UNKNOWN, read_ns=known_from_ns, valid_until_ns=known_until_ns
            )
        if reading.state is ACTIVE:
            return None
        if reading.state is TradingState.REDUCE_ONLY:
            # Nobody has looked at the form of the intent yet.
            if (
                type(intent.group_id) is str
                and type(intent.after_intent_id) is str
                and exposure.reduces(intent)
            ):
                return None
            return refuse(RefusalReason.KILL_SWITCH_REDUCE_ONLY, source=reading.source)
        return refuse(RefusalReason.KILL_SWITCH_HALTED, source=reading.source)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    # It is asked before anyone has looked at the form of the intent.
    def numbers(self, intent: OrderIntent, exposure: Exposure) -> Numbers:
        """Return the reading that counts and how long it does, of any intent."""
        return as_text(self._compared(intent, exposure))

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        reading = exposure.kill_switch
        if reading is None:
            yield "reading", "none"
            return
        yield "state", reading.state
        yield "source", reading.source
        yield "read_ns", exposure.kill_switch_from_ns
        yield "valid_until_ns", exposure.kill_switch_until_ns
        if reading.state is TradingState.REDUCE_ONLY:
            yield "only_reduces", is_readable(intent, exposure) and exposure.reduces(intent)
