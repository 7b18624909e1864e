"""What the fused loop reads and writes: its terms as whole numbers, and the columns of its tables."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
LevelArray = NDArray[np.int8]

KEEP = 2**31  # The level that asks for nothing.
KEEP_LEVEL = -128  # The same where levels are bytes.
NO_LOTS = -(2**63)  # A level whose quantity depends on equity and price.
MONEY_MAX = 2**60  # No sum of money in a run may come nearer to what an int64 can hold.

# How a run ended.
DONE, MONEY_RANGE, BAD_LEVEL = 0, 1, 2
NO_ROOM = 4  # A table was too short for all orders.

# An order.
SENT_ROW = 0  # The bar on whose close it was decided.
SIGN = 1
LOTS = 2
FILLED_ROW = 3  # The bar at whose open it ended.
PAID_TICKS = 4
FEE = 5  # In units of money.
ENDED = 6
INTENT = 7  # The number of its intent, refused ones counted.
ORDER_SIZE = 8
END_OF_DATA, FILLED, NO_FUNDS = 0, 1, 2
WOULD_GROW, NOT_AT_ONCE, WOULD_TAKE, SELF_TRADE, CANCELED = 3, 4, 5, 6, 7

# What the gate says, in the order of its rules; the first two are the rebalancer's.
PASSED = 0
BELOW_LOT, CASH_SHORT = 1, 2
BELOW_MIN, ABOVE_MAX, NOTIONAL_BELOW_MIN = 3, 4, 5
RATE, STRATEGY_RATE, DAILY_LOSS = 6, 7, 8
ORDER_NOTIONAL, POSITION, GROSS, NAKED_SHORT, NOT_BACKED = 9, 10, 11, 12, 13
MALFORMED, COLLAR, GROWS, OPEN_ORDERS = 14, 15, 16, 17  # Of orders that a strategy places itself.
N_REFUSALS = 18


class Now(NamedTuple):
    """What a compiled strategy is told with each bar.

    Attributes:
        n_bars: How many bars were seen, this one included.
        ts_ns: When the bar closed.
        open: First price, in ticks; so are `high`, `low` and `close`.
        volume_lots: In lots.
        position_lots: What the strategy holds, signed.
    """

    n_bars: int
    ts_ns: int
    open: int
    high: int
    low: int
    close: int
    volume_lots: int
    position_lots: int


class Run(NamedTuple):
    """How a run ended: why, at which row, and with what in the account."""

    code: int
    row: int
    n_orders: int
    n_intents: int
    cash: int
    lots: int
    n_invested: int  # Bars at whose close something was held.


class Bars(NamedTuple):
    """Bars of one instrument, int64 columns of equal length."""

    ts_ns: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    volume_lots: IntArray


class Levels(NamedTuple):
    """What each level of exposure stands for, from the lowest to the highest.

    Attributes:
        lots: Signed, or NO_LOTS: then floor(equity x |numerator| / (denominator x price)), with the numerator's sign.
    """

    lots: IntArray
    numerator: IntArray
    denominator: IntArray


class Cap(NamedTuple):
    """A limit in money, one as a fraction of equity, both or none; the lower one counts.

    Attributes:
        has_notional: Whether the one in money is set.
        numerator: Of the fraction, 0 = not set.
    """

    is_on: bool
    has_notional: bool
    notional: int
    numerator: int
    denominator: int


class Terms(NamedTuple):
    """Everything of a run that is one number. Money is in units, the smallest amount that every sum is a multiple of.

    Attributes:
        unit: What one tick x one lot is worth.
        n_levels: Levels go from minus this to this.
        lots_max: More lots could leave the range of money at the highest price.
        cost_numerator: Fee, slippage and buffer that must be free besides, as a fraction of what is traded.
        fee_divisor: fee = notional x numerator / divisor steps.
    """

    unit: int
    capital: int
    n_levels: int
    lots_max: int
    min_lots: int
    max_lots: int
    min_notional: int
    per_minute: int
    strategy_per_minute: int
    may_short: bool
    venue_may_short: bool
    slippage_numerator: int
    slippage_denominator: int
    fee_numerator: int
    fee_divisor: int
    fee_step: int
    cost_numerator: int
    cost_denominator: int
    daily_loss: Cap
    order_notional: Cap
    position: Cap
    gross: Cap


# What `score_points` writes of a point; money in the report asset.
CODE, N_ORDERS, N_INVESTED, N_FILLS, N_TRIPS, N_WINS, PROFIT, LOSS, FEES, NOTIONAL, FINAL, N_RETURNS = range(
    12
)
FIRST, SECOND, THIRD, FOURTH, DOWNSIDE, DEEPEST = range(12, 18)
SCORE_SIZE = 18
NOT_SUMMED = 3  # A code beside those of a run: its equity has to be looked at bar by bar.
