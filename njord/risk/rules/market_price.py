"""No order without a recent price: every limit that follows is measured with it."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.core.units import NS_PER_MINUTE
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, RuleParams, refuse


class MarketPrice(RiskRule):
    """Refuse while no price is known, or while the last one is too old."""

    name: ClassVar[str] = "market_price"

    class Params(RuleParams, frozen=True):
        """The longest age: in ns; in intervals where bars are traded; in ns where ticks are. 0 = that one is off."""

        max_age_ns: int = 0
        max_age_intervals: int = 3
        max_age_ticks_ns: int = NS_PER_MINUTE

        def __post_init__(self) -> None:
            if min(self.max_age_ns, self.max_age_intervals, self.max_age_ticks_ns) < 0:
                raise ValueError("max_age_ns, max_age_intervals and max_age_ticks_ns must be >= 0")
            if not self.max_age_ns and not self.max_age_intervals:
                raise ValueError("max_age_ns or max_age_intervals must be > 0: prices do not keep for ever")

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal unless a fresh price is known."""
        index = intent.instrument
        if not exposure.mark_ticks[index]:
            return refuse(RefusalReason.PRICE_UNKNOWN, symbol=exposure.instruments[index].symbol)
        max_age_ns = self._max_age_ns(index, exposure)
        age_ns = intent.ts_ns - exposure.mark_ts_ns[index]
        if not 0 <= age_ns <= max_age_ns or not max_age_ns:
            return refuse(RefusalReason.PRICE_STALE, age_ns=age_ns, max_age_ns=max_age_ns or "not known")
        return None

    def bounds(self, instrument: Instrument, scale: int) -> Bounds:
        """Return nothing: a plain order is one that it lets pass."""
        return {}

    # The shortest of the longest ages that are set; 0 = none is.
    def _max_age_ns(self, index: int, exposure: Exposure) -> int:
        params = self.params
        interval_ns = exposure.interval_ns[index]  # 0 while no bar was seen: it is traded on ticks.
        by_kind_ns: int = params.max_age_intervals * interval_ns if interval_ns else params.max_age_ticks_ns
        in_ns: int = params.max_age_ns
        return min(in_ns, by_kind_ns) if in_ns and by_kind_ns else in_ns or by_kind_ns

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        index = intent.instrument
        instrument, ticks = exposure.instruments[index], exposure.mark_ticks[index]
        yield "symbol", instrument.symbol
        yield "price", instrument.price(ticks) if ticks else None
        if ticks:
            yield "age_ns", intent.ts_ns - exposure.mark_ts_ns[index]
            yield "max_age_ns", self._max_age_ns(index, exposure) or "not known"
