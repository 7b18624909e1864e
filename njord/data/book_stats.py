"""How wide, deep and lopsided is a book? Levels in whole ticks and lots in, measures out.

Whole numbers are exact. Measures that are floats are for signals and reports, and NaN where a side they need is empty.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

NAN = math.nan
_BPS = 10_000


class Level(NamedTuple):
    """One price of a book and the quantity there."""

    price_ticks: int
    qty_lots: int


Levels = Sequence[Level]


class BookStats(msgspec.Struct, frozen=True, kw_only=True):
    """A book in numbers; ticks and lots are exact, floats are nearest, NaN or None where a side is empty.

    Attributes:
        bid: Best bid.
        ask: Best ask.
        spread_ticks: Best ask minus best bid; negative where the book is crossed.
        spread_bps: The same over the mid price.
        mid_ticks: Halfway between them.
        microprice_ticks: See `microprice`.
        n_bids: Levels.
        n_asks: Levels.
        n_levels: How many levels of each side the next four look at.
        bid_lots: Quantity in them.
        ask_lots: Quantity in them.
        imbalance: See `imbalance`.
        bid_slope: See `slope`.
        ask_slope: See `slope`.
        within_bps: How far from the mid price the next two look.
        bid_lots_within: Quantity there.
        ask_lots_within: Quantity there.
    """

    bid: Level | None
    ask: Level | None
    spread_ticks: int | None
    spread_bps: float
    mid_ticks: float
    microprice_ticks: float
    n_bids: int
    n_asks: int
    n_levels: int
    bid_lots: int
    ask_lots: int
    imbalance: float
    bid_slope: float
    ask_slope: float
    within_bps: Decimal
    bid_lots_within: int
    ask_lots_within: int


def spread_bps(bid: Level | None, ask: Level | None) -> float:
    """Return (ask - bid) / mid in basis points."""
    if bid is None or ask is None:
        return NAN
    return 2 * _BPS * (ask.price_ticks - bid.price_ticks) / (ask.price_ticks + bid.price_ticks)


def mid_ticks(bid: Level | None, ask: Level | None) -> float:
    """Return the price halfway between best bid and best ask, in ticks: exact below 2**52."""
    return NAN if bid is None or ask is None else (bid.price_ticks + ask.price_ticks) / 2


def microprice(bid: Level | None, ask: Level | None) -> float:
    """Return the mid price weighted by the quantity on the other side, in ticks.

    Returns:
        (ask x bid quantity + bid x ask quantity) / (bid quantity + ask quantity): near the ask where bids are heavier.

    Source: Gatheral and Oomen (2010), "Zero-intelligence realized variance estimation", Finance and Stochastics 14,
    249-283; Stoikov (2018), "The micro-price", Quantitative Finance 18(12), starts from it.
    """
    if bid is None or ask is None:
        return NAN
    weighed = ask.price_ticks * bid.qty_lots + bid.price_ticks * ask.qty_lots
    return weighed / (bid.qty_lots + ask.qty_lots)


def imbalance(bid_lots: int, ask_lots: int) -> float:
    """Return (bids - asks) / (bids + asks): from -1, only asks, to +1, only bids.

    Source: Cartea, Jaimungal and Penalva (2015), "Algorithmic and High-Frequency Trading", on volume imbalance.
    """
    return (bid_lots - ask_lots) / (bid_lots + ask_lots) if bid_lots or ask_lots else NAN


def slope(levels: Levels, mid: float) -> float:
    """Return how many lots a side gains per basis point of distance from the mid price.

    The levels of a side, summed up from the best one on, are its demand or supply schedule; this is its slope by least
    squares through the mid price: sum(x y) / sum(x x) over the levels, x = distance in bps, y = lots up to there.

    Args:
        levels: Of one side, best first.
        mid: In ticks.

    Returns:
        Lots per bps, >= 0; NaN without levels or mid price, or where all levels lie at the mid price.

    Source: a book as schedules, after Kalay, Sade and Wohl (2004), "Measuring stock illiquidity: an investigation of
    the demand and supply schedules at the TASE", J. Financial Economics 74(3), 461-486; the fit is ours.
    """
    if math.isnan(mid):
        return NAN
    products = squares = 0.0
    lots = 0
    for level in levels:
        lots += level.qty_lots
        distance = abs(level.price_ticks - mid) / mid * _BPS
        products += distance * lots
        squares += distance * distance
    return products / squares if squares else NAN


def limits_within(bid: Level, ask: Level, bps: Decimal) -> tuple[int, int]:
    """Return the lowest bid and the highest ask, in ticks, within `bps` basis points of the mid price, exactly."""
    mid, share = Fraction(bid.price_ticks + ask.price_ticks, 2), Fraction(bps) / _BPS
    return math.ceil(mid * (1 - share)), math.floor(mid * (1 + share))
