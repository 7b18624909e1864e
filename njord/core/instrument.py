"""Instrument: what one symbol at one venue trades like, and the only door between float, Decimal and int.

Prices are whole ticks, quantities whole lots. Whatever comes from outside is rounded to the safe side here: a
quantity down, a buying price down, a selling price up, a fee up. Nothing else in njord multiplies a tick by a
float.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache, partial

import msgspec
from msgspec import UNSET, UnsetType

from njord.core.errors import ConfigError
from njord.core.filters import (
    MAX_DIGITS,
    FilterChange,
    Filters,
    FilterTable,
    PriceBand,
    bound_lots,
    check_band,
    check_bounds,
    check_changes,
)
from njord.core.types import SELL, InstrumentKind, Side
from njord.core.units import EXACT, ZERO, exponent, plain, round_down, round_up

MAX_SCALE = 18
_QTYS_KEPT = 64  # Of those asked for last.
_multiply = EXACT.multiply


def exact(value: Decimal | str | int | float) -> Decimal:
    """Return the decimal that `value` shows: a float counts as its shortest decimal text, so 0.1 is 0.1.

    Raises:
        ValueError: `value` is not a finite number.
    """
    try:
        number = value if type(value) is Decimal else Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected a decimal number, was {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite number, was {value}")
    return number


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One symbol at one venue, with the steps, minima and fees that its orders obey.

    Attributes:
        symbol: CCXT unified, such as BTC/USDT or BTC/USD:USD.
        base: Asset that is bought and sold.
        quote: Asset that prices are given in.
        tick_size: Smallest step of a price, in quote per base.
        lot_size: Smallest step of a quantity, in base.
        min_qty: Smallest order, in base.
        max_qty: Largest order, in base; 0 = no limit.
        min_notional: Smallest order value, in quote.
        money_scale: Decimals of a fee in quote.
        filter_changes: What orders had to obey from later times on; before the first the fields above hold.
        max_market_qty: Largest market order, in base; 0 or unset = as any order.
        max_open_orders: So many may be open at once; unset = no limit.
        buy_band: A buy's limit must lie between these multiples of a price that the market had of late; unset = anywhere.
        sell_band: A sale's likewise.
    """

    symbol: str
    venue: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    min_notional: Decimal = ZERO
    kind: InstrumentKind = InstrumentKind.SPOT
    money_scale: int = 8
    filter_changes: tuple[FilterChange, ...] = ()
    # What is unset stands in no text, so that journals and datasets of before have the same bytes.
    max_market_qty: Decimal | UnsetType = UNSET
    max_open_orders: int | UnsetType = UNSET
    buy_band: PriceBand | UnsetType = UNSET
    sell_band: PriceBand | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size"):
            step: Decimal = getattr(self, name)
            if not step.is_finite() or step <= 0:
                raise ConfigError(f"{name} of {self.symbol} must be > 0, was {step}")
            if step.adjusted() > MAX_SCALE or len(step.as_tuple().digits) > MAX_DIGITS:
                raise ConfigError(f"{name} of {self.symbol} must be a power of ten or nearly so, was {step}")
            if exponent(step) > MAX_SCALE:
                raise ConfigError(
                    f"{name} of {self.symbol} may have {MAX_SCALE} decimals at most, was {step}"
                )
        check_bounds(self.symbol, min_qty=self.min_qty, max_qty=self.max_qty, min_notional=self.min_notional)
        check_changes(self.symbol, self.filter_changes)
        if self.max_market_qty is not UNSET:
            check_bounds(self.symbol, max_market_qty=self.max_market_qty)
        if self.max_open_orders is not UNSET and self.max_open_orders < 1:
            raise ConfigError(f"max_open_orders of {self.symbol} must be >= 1, was {self.max_open_orders}")
        for name, band in (("buy_band", self.buy_band), ("sell_band", self.sell_band)):
            if band is not UNSET:
                check_band(self.symbol, name, band)
        if not 0 <= self.money_scale <= MAX_SCALE:
            raise ConfigError(
                f"money_scale of {self.symbol} must be 0 to {MAX_SCALE}, was {self.money_scale}"
            )

    @property
    def id(self) -> str:
        """symbol@venue, the name under which orders, fills and datasets know it."""
        return f"{self.symbol}@{self.venue}"

    # --- derived whole numbers, computed once: the hot paths multiply by them ---

    @cached_property
    def tick_scale(self) -> int:
        """Decimals of a price."""
        return exponent(self.tick_size)

    @cached_property
    def lot_scale(self) -> int:
        """Decimals of a quantity."""
        return exponent(self.lot_size)

    @cached_property
    def tick_multiple(self) -> int:
        """The tick in units of 10**-tick_scale."""
        return int(self.tick_size.scaleb(self.tick_scale, EXACT))

    @cached_property
    def lot_multiple(self) -> int:
        """The lot in units of 10**-lot_scale."""
        return int(self.lot_size.scaleb(self.lot_scale, EXACT))

    @cached_property
    def unit_multiple(self) -> int:
        """One tick x one lot in units of 10**-unit_scale."""
        return self.tick_multiple * self.lot_multiple

    @cached_property
    def unit_scale(self) -> int:
        """Decimals of a notional."""
        return self.tick_scale + self.lot_scale

    @cached_property
    def min_qty_lots(self) -> int:
        """Smallest order in lots, at least 1."""
        return bound_lots(self.min_qty, self.max_qty, self.lot_size)[0]

    @cached_property
    def max_qty_lots(self) -> int:
        """Largest order in lots."""
        return bound_lots(self.min_qty, self.max_qty, self.lot_size)[1]

    @cached_property
    def max_market_lots(self) -> int:
        """Largest market order in lots, where it has a most of its own."""
        most = ZERO if self.max_market_qty is UNSET else self.max_market_qty
        return bound_lots(self.min_qty, most, self.lot_size)[1]

    @property
    def has_limits(self) -> bool:
        """Whether more than the filters holds its orders: a most of its own for market orders, a count, or a band."""
        limits = (self.max_market_qty, self.max_open_orders, self.buy_band, self.sell_band)
        return any(each is not UNSET for each in limits)

    @cached_property
    def _filter_table(self) -> FilterTable:
        first = Filters(self.min_qty_lots, self.max_qty_lots, self.min_notional)
        return FilterTable(first, self.filter_changes, self.lot_size)

    def filters_at(self, ts_ns: int) -> Filters:
        """Return what an order had to obey at `ts_ns`."""
        return self._filter_table.at(ts_ns)

    @cached_property
    def fee_quantum(self) -> Decimal:
        """Smallest fee in quote."""
        return EXACT.scaleb(Decimal(1), -self.money_scale)

    @cached_property
    def _unit(self) -> Decimal:
        # What one tick x one lot is worth; a whole number times it is exact and keeps its scale.
        return EXACT.scaleb(Decimal(self.unit_multiple), -self.unit_scale)

    @cached_property
    def _tick(self) -> Decimal:
        return EXACT.scaleb(Decimal(self.tick_multiple), -self.tick_scale)

    # One order's lots are asked about by sizing, gate, venue and ledger, and those of an entry again for its exit.
    @cached_property
    def _qty_of(self) -> Callable[[int], Decimal]:
        lot = EXACT.scaleb(Decimal(self.lot_multiple), -self.lot_scale)
        return lru_cache(maxsize=_QTYS_KEPT)(partial(_multiply, lot))

    @cached_property
    def _price_divisor(self) -> int:
        return int(10**self.tick_scale)

    @cached_property
    def _qty_divisor(self) -> int:
        return int(10**self.lot_scale)

    # --- out of whole numbers: exact, or the nearest float for signals ---

    def price(self, ticks: int) -> Decimal:
        """Return the exact price of `ticks`, in quote per base."""
        return _multiply(self._tick, ticks)

    def qty(self, lots: int) -> Decimal:
        """Return the exact quantity of `lots`, in base."""
        return self._qty_of(lots)

    def notional(self, ticks: int, lots: int) -> Decimal:
        """Return price x quantity, exact, in quote."""
        return _multiply(self._unit, ticks * lots)

    def price_float(self, ticks: int) -> float:
        """Return the float nearest to the price of `ticks`: for signals and charts, never for money."""
        return ticks * self.tick_multiple / self._price_divisor

    def qty_float(self, lots: int) -> float:
        """Return the float nearest to the quantity of `lots`: for signals and charts, never for money."""
        return lots * self.lot_multiple / self._qty_divisor

    # --- into whole numbers: always to the safe side ---

    def lots(self, qty: Decimal | str | int | float) -> int:
        """Return `qty` (in base) in lots, rounded toward zero.

        Raises:
            ValueError: `qty` is not a finite number, or beyond all sizes.
        """
        return self._steps(qty, self.lot_size)[0]

    def limit_ticks(self, price: Decimal | str | int | float, side: Side) -> int:
        """Return a limit `price` in ticks that is never worse than asked: a buy rounded down, a sell up.

        Raises:
            ValueError: `price` is not a finite number, or beyond all sizes.
        """
        whole, rest = self._steps(price, self.tick_size)
        if side is SELL:
            return whole + (1 if rest > 0 else 0)
        return whole - (1 if rest < 0 else 0)

    def exact_ticks(self, price: Decimal | str | int | float) -> int:
        """Return `price` in ticks.

        Raises:
            ValueError: `price` does not lie on the tick grid.
        """
        whole, rest = self._steps(price, self.tick_size)
        if rest:
            raise ValueError(
                f"price {price} of {self.symbol} is not a multiple of its tick {plain(self.tick_size)}"
            )
        return whole

    # Whole steps, truncated toward zero, and what is left over.
    def _steps(self, value: Decimal | str | int | float, step: Decimal) -> tuple[int, Decimal]:
        number = exact(value)
        try:
            whole, rest = EXACT.divmod(number, step)
        except InvalidOperation:
            raise ValueError(f"{number:.3e} is beyond any price or quantity of {self.symbol}") from None
        return int(whole), rest

    def fee(self, notional: Decimal, fee_bps: Decimal) -> Decimal:
        """Return the fee on `notional` in quote, rounded against us: a charge up, a rebate (negative) toward zero."""
        return self.fee_at(notional, EXACT.scaleb(fee_bps, -4))

    def fee_at(self, notional: Decimal, rate: Decimal) -> Decimal:
        """Return the fee on `notional` at a rate that is a fraction of it; rounded as by `fee`."""
        raw = _multiply(notional, rate)
        return round_up(raw, self.fee_quantum) if raw >= ZERO else round_down(raw, self.fee_quantum)
