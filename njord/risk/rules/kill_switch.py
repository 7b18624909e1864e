"""The first rule, always there: nothing that adds risk passes unless the kill switch is known to be ACTIVE."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason, TradingState
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, refuse


class KillSwitch(RiskRule):
    """Refuse everything while HALTED, what does not shrink the position while REDUCE_ONLY; unknown = HALTED."""

    name: ClassVar[str] = "kill_switch"

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless a fresh reading allows the intent."""
        reading = exposure.kill_switch
        if reading is None:
            return refuse(RefusalReason.KILL_SWITCH_UNKNOWN, reading="none")
        if intent.ts_ns > reading.valid_until_ns:
            return refuse(
                RefusalReason.KILL_SWITCH_UNKNOWN,
                source=reading.source,
                valid_until_ns=reading.valid_until_ns,
            )
        if reading.state is TradingState.ACTIVE:
            return None
        if reading.state is TradingState.REDUCE_ONLY:
            if exposure.reduces(intent):
                return None
            return refuse(RefusalReason.KILL_SWITCH_REDUCE_ONLY, source=reading.source)
        return refuse(RefusalReason.KILL_SWITCH_HALTED, source=reading.source)
