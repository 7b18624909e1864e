"""The first rule, always there: nothing that adds risk passes unless the kill switch is known to be ACTIVE."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import ACTIVE, RefusalReason, TradingState
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, refuse


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
