"""What does taking cost beyond the price that was seen? A fixed part, and one that grows with the order's size.

Every part is rounded up to the next worse whole tick, and a limit price is never passed. Where a bar tells no volume, an
order counts as large as the bar's volume.
"""

from decimal import Decimal

from njord.kernels.matching import linear_impact, square_root_impact, worse_ticks
from njord.venues.terms import VenueTerms

_IMPACTS = {"fixed": None, "linear": linear_impact, "square_root": square_root_impact}


class Slippage:
    """Prices for orders that take.

    Args:
        terms: The model and its rates.
    """

    __slots__ = ("_fixed", "_impact", "_rate")

    def __init__(self, terms: VenueTerms) -> None:
        self._fixed = _fraction(terms.slippage_bps)
        self._impact = _IMPACTS[terms.slippage_model]
        self._rate = _fraction(terms.impact_bps)

    def paid_ticks(self, seen_ticks: int, sign: int, qty_lots: int, volume_lots: int) -> int:
        """Return what a taker pays for `qty_lots` where the price `seen_ticks` was; at least 1 tick."""
        slipped = worse_ticks(seen_ticks, sign, self._fixed[0], self._fixed[1])
        if self._impact is None:
            return slipped
        impact = self._impact(seen_ticks, *self._rate, qty_lots, volume_lots or qty_lots)
        return max(1, slipped + sign * impact)

    def fixed_ticks(self, seen_ticks: int, sign: int) -> int:
        """Return `seen_ticks` moved by the fixed part alone: where no volume can be compared with."""
        return worse_ticks(seen_ticks, sign, *self._fixed)


def _fraction(bps: Decimal) -> tuple[int, int]:
    numerator, denominator = bps.as_integer_ratio()
    return numerator, denominator * 10_000
