"""When does a perpetual pay funding, and at which rate? Three times a day, longs to shorts where the rate is positive."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from njord.core.units import NS_PER_DAY, ZERO

INTERVAL_NS = NS_PER_DAY // 3


class FundingSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """Funding at 00:00, 08:00 and 16:00 UTC at one rate, or at explicit times with their own rates.

    Attributes:
        rate: A fraction per payment; longs pay where it is positive. 0 = none.
        rates: (ts_ns, rate) pairs, rising in time; where given they stand instead of `rate`.
    """

    rate: Decimal = ZERO
    rates: tuple[tuple[int, Decimal], ...] = ()

    def __post_init__(self) -> None:
        if not all(rate.is_finite() for rate in (self.rate, *(rate for _, rate in self.rates))):
            raise ValueError("a funding rate must be a finite number")
        times = [ts_ns for ts_ns, _ in self.rates]
        if times != sorted(set(times)):
            raise ValueError("funding times must rise")

    @property
    def pays(self) -> bool:
        """Whether there is any payment at all."""
        return bool(self.rate or self.rates)

    def between(self, after_ns: int, until_ns: int) -> Iterator[tuple[int, Decimal]]:
        """Yield (ts_ns, rate) of the payments in (after_ns, until_ns], earliest first."""
        if self.rates:
            yield from (pair for pair in self.rates if after_ns < pair[0] <= until_ns)
        elif self.rate:
            first = (after_ns // INTERVAL_NS + 1) * INTERVAL_NS
            for ts_ns in range(first, until_ns + 1, INTERVAL_NS):
                yield ts_ns, self.rate
