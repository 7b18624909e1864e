"""After a loss, wait."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason
from njord.core.units import NS_PER_S
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Refusal, RiskRule, RuleParams, refuse


class CoolDown(RiskRule):
    """Refuse what adds risk in an instrument for a while after a fill there closed at a loss, net of fees."""

    name: ClassVar[str] = "cool_down"
    reads_losses: ClassVar[bool] = True

    class Params(RuleParams, frozen=True):
        """How long to wait, in seconds; 0 = not at all."""

        seconds: int = 0

        def __post_init__(self) -> None:
            if self.seconds < 0:
                raise ValueError(f"seconds must be >= 0, was {self.seconds}")

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(not self.params.seconds)

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal while the wait lasts."""
        last_loss_ns = exposure.last_loss_ns.get(intent.instrument)
        if not self.params.seconds or last_loss_ns is None or exposure.reduces(intent):
            return None
        left_ns = last_loss_ns + self.params.seconds * NS_PER_S - intent.ts_ns
        if left_ns > 0:
            return refuse(RefusalReason.COOLING_DOWN, seconds_left=-(-left_ns // NS_PER_S))
        return None
