"""After a loss, wait."""

from decimal import Decimal
from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.types import RefusalReason
from njord.core.units import NS_PER_S
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Compared, LimitUse, Refusal, RiskRule, RuleParams, latest_ns, refuse


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
        seconds_left = self._seconds_left(intent.instrument, intent.ts_ns, exposure)
        return refuse(RefusalReason.COOLING_DOWN, seconds_left=seconds_left) if seconds_left else None

    # Whole seconds, rounded up; 0 once it is over.
    def _seconds_left(self, instrument: int, now_ns: int, exposure: Exposure) -> int:
        last_loss_ns = exposure.last_loss_ns.get(instrument)
        if last_loss_ns is None:
            return 0
        left_ns: int = last_loss_ns + self.params.seconds * NS_PER_S - now_ns
        return max(0, -(-left_ns // NS_PER_S))

    def usage(self, exposure: Exposure) -> tuple[LimitUse, ...]:
        """Return how long each instrument that waits still has to."""
        if self.is_off:
            return ()
        now_ns = latest_ns(exposure)
        waits = (
            (index, self._seconds_left(index, max(now_ns, lost_ns), exposure))
            for index, lost_ns in sorted(exposure.last_loss_ns.items())
        )
        cap = Decimal(self.params.seconds)
        return tuple(
            LimitUse(self.name, Decimal(left), cap, "s", instrument=index) for index, left in waits if left
        )

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if self.params.seconds:
            yield "seconds_left", self._seconds_left(intent.instrument, intent.ts_ns, exposure)
            yield "seconds", self.params.seconds
            yield "only_reduces", exposure.reduces(intent)
