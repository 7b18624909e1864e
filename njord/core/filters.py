"""Filters: which orders a venue admitted at which time. In come an instrument's dated changes, out go whole numbers.

A venue changes its minima and steps while a history goes on; a backtest that knows only today's would trade what was
not possible then. Ticks and lots of the data stay what they are: a coarser step of one time is a multiple of them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from njord.core.errors import ConfigError
from njord.core.units import EXACT, ZERO

INT64_MAX = 2**63 - 1
MAX_DIGITS = 40  # Of a step or bound: with 80 digits for money, every product of two stays exact.


class FilterChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an order had to obey from `from_ns` on, until the next change.

    Attributes:
        from_ns: When it came into force, UTC.
        min_qty: Smallest order, in base.
        max_qty: Largest order, in base; 0 = no limit.
        min_notional: Smallest order value, in quote.
        tick_multiple: Prices had to be multiples of so many ticks.
        lot_multiple: Quantities had to be multiples of so many lots.
    """

    from_ns: int
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    tick_multiple: int = 1
    lot_multiple: int = 1


PriceBand = tuple[Decimal, Decimal]  # From and to, as multiples of a price that the market had of late.


class Filters(msgspec.Struct, frozen=True):
    """The filters in force at one time; quantities in lots.

    Attributes:
        min_qty_lots: Smallest order, at least 1.
        max_qty_lots: Largest order.
        min_notional: Smallest order value, in quote.
        tick_multiple: Prices must be multiples of so many ticks.
        lot_multiple: Quantities must be multiples of so many lots.
    """

    min_qty_lots: int
    max_qty_lots: int
    min_notional: Decimal
    tick_multiple: int = 1
    lot_multiple: int = 1


def bound_lots(min_qty: Decimal, max_qty: Decimal, lot_size: Decimal) -> tuple[int, int]:
    """Return the smallest (at least 1, rounded up) and largest (rounded down) order in lots; 0 `max_qty` = no limit."""
    whole, rest = EXACT.divmod(min_qty, lot_size)
    largest = int(EXACT.divide_int(max_qty, lot_size)) if max_qty else INT64_MAX
    return max(1, int(whole) + (1 if rest else 0)), largest


def check_bounds(symbol: str, **bounds: Decimal) -> None:
    """Refuse bounds of an order that are negative, not finite, or longer than money can be exact with.

    Raises:
        ConfigError: The first such bound.
    """
    for name, bound in bounds.items():
        if not bound.is_finite() or bound < 0:
            raise ConfigError(f"{name} of {symbol} must be >= 0, was {bound}")
        if bound.adjusted() > MAX_DIGITS or len(bound.as_tuple().digits) > MAX_DIGITS:
            raise ConfigError(f"{name} of {symbol} may have {MAX_DIGITS} digits at most, was {bound}")


def check_changes(symbol: str, changes: Sequence[FilterChange]) -> None:
    """Refuse changes that are out of order, or that no order could obey.

    Raises:
        ConfigError: The first such change.
    """
    before: FilterChange | None = None
    for change in changes:
        where = f"filter_changes of {symbol} at {change.from_ns}"
        if before is not None and change.from_ns <= before.from_ns:
            raise ConfigError(f"{where} must come after {before.from_ns}")
        check_bounds(symbol, min_qty=change.min_qty, max_qty=change.max_qty, min_notional=change.min_notional)
        for name, multiple in (
            ("tick_multiple", change.tick_multiple),
            ("lot_multiple", change.lot_multiple),
        ):
            if not 1 <= multiple <= INT64_MAX:
                raise ConfigError(f"{where}: {name} must be >= 1, was {multiple}")
        if change.max_qty and change.max_qty < change.min_qty:
            raise ConfigError(f"{where}: max_qty must be >= min_qty {change.min_qty}, was {change.max_qty}")
        before = change


def check_band(symbol: str, name: str, band: PriceBand) -> None:
    """Refuse a band that holds no price.

    Raises:
        ConfigError: An edge is not a number, or they are not in order.
    """
    lowest, highest = band
    if not (lowest.is_finite() and highest.is_finite() and 0 <= lowest < highest):
        raise ConfigError(
            f"{name} of {symbol} must be two multiples of the last price, the lower first, was {lowest}, {highest}"
        )


def is_within(band: PriceBand, price_ticks: int, units: int, lots: int = 1) -> bool:
    """Say whether a price lies in a band around the average of trades: `units` (ticks x lots) of so many `lots`."""
    price = price_ticks * lots
    return EXACT.multiply(band[0], units) <= price <= EXACT.multiply(band[1], units)


class FilterTable:
    """The filters of one instrument over time.

    Args:
        first: In force before the first change.
        changes: In order of time.
        lot_size: Of the instrument, in base.
    """

    __slots__ = ("_filters", "_from_ns")

    def __init__(self, first: Filters, changes: Sequence[FilterChange], lot_size: Decimal) -> None:
        self._from_ns = [change.from_ns for change in changes]
        self._filters = [first]
        for change in changes:
            smallest, largest = bound_lots(change.min_qty, change.max_qty, lot_size)
            self._filters.append(
                Filters(smallest, largest, change.min_notional, change.tick_multiple, change.lot_multiple)
            )

    def at(self, ts_ns: int) -> Filters:
        """Return the filters in force at `ts_ns`; a change is in force from its own time on."""
        return self._filters[bisect_right(self._from_ns, ts_ns)]
