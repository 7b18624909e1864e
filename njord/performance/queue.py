"""Queue: what became of the orders that waited in the book?

Resting orders with their times come in; how many filled, how much of them, how long they waited and how much stood
ahead of them at their arrival go out. A venue that knows no queue tells no place in it: those figures are NaN then.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np


class RestingOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order that waited at the venue.

    Attributes:
        qty_lots: What it asked for in the end, > 0.
        filled_lots: What was filled of it.
        accepted_ns: When the venue took it.
        first_fill_ns: None if nothing filled.
        end_ns: When it ended.
        ahead_lots: What stood before it in the queue at its arrival; None if the venue does not tell.
    """

    qty_lots: int
    filled_lots: int
    accepted_ns: int
    first_fill_ns: int | None
    end_ns: int
    ahead_lots: int | None = None


class QueueStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What all resting orders amount to.

    Attributes:
        n_orders: Orders that rested.
        n_filled: Filled in full.
        n_partly: Filled in part.
        n_unfilled: Ended without any fill.
        fill_ratio: Mean over orders of filled / asked for; NaN without orders.
        mean_wait_ns: From acceptance to the first fill, of those that filled; NaN without any.
        median_wait_ns: Likewise.
        mean_unfilled_life_ns: From acceptance to the end, of those that never filled; NaN without any.
        n_places: Orders whose place in the queue the venue told: those that filled, on a book.
        mean_ahead_lots: Lots ahead at arrival; NaN where the venue tells no queue.
        median_ahead_lots: Likewise.
    """

    n_orders: int
    n_filled: int
    n_partly: int
    n_unfilled: int
    fill_ratio: float
    mean_wait_ns: float
    median_wait_ns: float
    mean_unfilled_life_ns: float
    n_places: int
    mean_ahead_lots: float
    median_ahead_lots: float


def queue_statistics(orders: Sequence[RestingOrder]) -> QueueStatistics:
    """Return the statistics of `orders`; quantities of different instruments are only compared as ratios."""
    waits = [order.first_fill_ns - order.accepted_ns for order in orders if order.first_fill_ns is not None]
    lives = [order.end_ns - order.accepted_ns for order in orders if not order.filled_lots]
    ahead = [order.ahead_lots for order in orders if order.ahead_lots is not None]
    n_filled = sum(order.filled_lots >= order.qty_lots for order in orders)
    ratios = [min(1.0, order.filled_lots / order.qty_lots) for order in orders]
    return QueueStatistics(
        n_orders=len(orders),
        n_filled=n_filled,
        n_partly=len(orders) - n_filled - len(lives),
        n_unfilled=len(lives),
        fill_ratio=math.fsum(ratios) / len(ratios) if ratios else math.nan,
        mean_wait_ns=_mean(waits),
        median_wait_ns=_median(waits),
        mean_unfilled_life_ns=_mean(lives),
        n_places=len(ahead),
        mean_ahead_lots=_mean(ahead),
        median_ahead_lots=_median(ahead),
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else math.nan


def _median(values: Sequence[int]) -> float:
    return float(np.median(np.array(values, dtype=np.int64))) if values else math.nan
