"""Turnover: how much was traded, as maker and as taker, for what fees, and what would have eaten the profit?

Fills of an account come in; exact sums per side of the book, turnover against mean equity, and the costs at which the
net profit becomes zero go out.
"""

import math
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from njord.core.units import BPS, EXACT, NS_PER_DAY, NS_PER_YEAR, ZERO, ratio
from njord.performance.contribution import AccountFill


class Traded(msgspec.Struct, frozen=True, kw_only=True):
    """Fills of one kind, summed.

    Attributes:
        n_fills: How many.
        notional: Sum of price x quantity, in quote, exact.
        fees: Paid on them, in quote, negative for rebates, exact.
        fee_bps: fees / notional in basis points; NaN without a fill.
        share: Of all traded notional, a fraction; NaN without a fill at all.
    """

    n_fills: int
    notional: Decimal
    fees: Decimal
    fee_bps: float
    share: float


class MakerTaker(msgspec.Struct, frozen=True, kw_only=True):
    """Who waited, and who took."""

    maker: Traded
    taker: Traded


class Turnover(msgspec.Struct, frozen=True, kw_only=True):
    """How often the equity was traded over.

    Attributes:
        traded_notional: Sum of price x quantity of all fills, in quote, exact.
        mean_equity: Over all points of the equity curve; NaN without any.
        turnover: traded_notional / mean_equity; NaN if that is not positive.
        per_day: Turnover per day of 24 hours; NaN if no time passed.
        per_year: Turnover per year of 365 days; NaN if no time passed.

    Source: Grinold and Kahn (2000), "Active Portfolio Management", 2nd ed., ch. 16; both sides are counted here.
    """

    traded_notional: Decimal
    mean_equity: float
    turnover: float
    per_day: float
    per_year: float


class BreakEven(msgspec.Struct, frozen=True, kw_only=True):
    """What the very same fills could still bear; NaN where there is no profit or nothing that could cost more.

    Attributes:
        fee_multiple: All fees times this, and the net profit is zero; NaN unless fees were paid.
        extra_slippage_bps: This much worse on every fill that took, and the net profit is zero; NaN if none took.
    """

    fee_multiple: float
    extra_slippage_bps: float


def maker_taker(fills: Iterable[AccountFill]) -> MakerTaker:
    """Return the sums of the fills that waited in the book and of those that took."""
    sums = {True: (0, ZERO, ZERO), False: (0, ZERO, ZERO)}
    for fill in fills:
        n, notional, fees = sums[fill.is_maker]
        sums[fill.is_maker] = (n + 1, EXACT.add(notional, fill.notional), EXACT.add(fees, fill.fee_value))
    total = EXACT.add(sums[True][1], sums[False][1])
    return MakerTaker(maker=_traded(*sums[True], total), taker=_traded(*sums[False], total))


def turnover(traded_notional: Decimal, mean_equity: float, elapsed_ns: int) -> Turnover:
    """Return the turnover of a run of `elapsed_ns`."""
    times = float(traded_notional) / mean_equity if mean_equity > 0 else math.nan
    return Turnover(
        traded_notional=traded_notional,
        mean_equity=mean_equity,
        turnover=times,
        per_day=times * NS_PER_DAY / elapsed_ns if elapsed_ns > 0 else math.nan,
        per_year=times * NS_PER_YEAR / elapsed_ns if elapsed_ns > 0 else math.nan,
    )


def break_even(net_profit: Decimal, split: MakerTaker) -> BreakEven:
    """Return what the fills could still bear, by exact arithmetic on them: sizes and decisions stay as they were."""
    fees = EXACT.add(split.maker.fees, split.taker.fees)
    per_bp = EXACT.multiply(split.taker.notional, BPS)
    gains = net_profit > 0
    return BreakEven(
        fee_multiple=float(ratio(EXACT.add(net_profit, fees), fees)) if gains and fees > 0 else math.nan,
        extra_slippage_bps=float(ratio(net_profit, per_bp)) if gains and per_bp else math.nan,
    )


def _traded(n_fills: int, notional: Decimal, fees: Decimal, total: Decimal) -> Traded:
    return Traded(
        n_fills=n_fills,
        notional=notional,
        fees=fees,
        fee_bps=float(ratio(fees, EXACT.multiply(notional, BPS))) if notional else math.nan,
        share=float(ratio(notional, total)) if total else math.nan,
    )
