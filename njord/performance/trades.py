"""Trades: what did each round trip earn, and what does that say of the trading?

Fills come in, one by one, in the order they were applied; round trips (FIFO lots, net of fees, exact `Decimal`) and
the lots still open go out, and statistics of the round trips. Nothing is lost on the way: the P&L of all round trips
plus the unrealized P&L of the open lots is the total P&L, to the last digit.
"""

import math
from array import array
from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from njord.core.types import BUY, Side
from njord.core.units import EXACT, ZERO, quantum, ratio, round_down


class TradeFill(msgspec.Struct, frozen=True, gc=False):
    """One fill, as the round trips see it.

    Attributes:
        instrument: Index of the instrument.
        price: Quote per base, > 0.
        qty: In base, > 0.
        fee: In quote, negative for a rebate; a fee in another asset is handed in at its value in quote.
    """

    ts_ns: int
    instrument: int
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal = ZERO

    def __post_init__(self) -> None:
        if not (self.price.is_finite() and self.price > 0):
            raise ValueError(f"a fill's price must be > 0, was {self.price}")
        if not (self.qty.is_finite() and self.qty > 0):
            raise ValueError(f"a fill's qty must be > 0, was {self.qty}")
        if not self.fee.is_finite():
            raise ValueError(f"a fill's fee must be finite, was {self.fee}")


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One opening lot, or a part of it, and the fill that closed it.

    A fill that closes several lots makes one round trip for each, so entry and exit are always one price, never an
    average.

    Attributes:
        side: Of the opening fill: BUY was a long, SELL a short.
        qty: In base, > 0.
        fees: The parts of both fills' fees that belong to `qty`, in quote.
        pnl: In quote, net of `fees`.
        return_fraction: pnl / (entry_price * qty), rounded to the nearest float.
        duration_ns: From opening to closing; negative only if fills were applied out of time order.
    """

    instrument: int
    side: Side
    ts_open_ns: int
    ts_close_ns: int
    qty: Decimal
    entry_price: Decimal
    exit_price: Decimal
    fees: Decimal
    pnl: Decimal
    return_fraction: float
    duration_ns: int


class OpenLot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is left of an opening fill.

    Attributes:
        side: BUY is held long, SELL is owed.
        qty: In base, > 0.
        fees: The part of the opening fee that belongs to `qty`, in quote.
    """

    instrument: int
    side: Side
    ts_open_ns: int
    qty: Decimal
    entry_price: Decimal
    fees: Decimal

    def unrealized_pnl(self, mark: Decimal) -> Decimal:
        """Return the exact P&L in quote at the price `mark`, net of the opening fee."""
        return EXACT.subtract(_gain(self.side, self.entry_price, mark, self.qty), self.fees)


def _gain(side: Side, entry: Decimal, price: Decimal, qty: Decimal) -> Decimal:
    move = EXACT.subtract(price, entry) if side is BUY else EXACT.subtract(entry, price)
    return EXACT.multiply(move, qty)


class RoundTripBook:
    """Open lots per instrument, first in first out; memory grows with open lots only.

    A fee is split pro rata to quantity, each part rounded toward zero to `money_scale` decimals; what rounding left
    over goes to the last part, so the parts always sum to the fee.
    """

    def __init__(self, money_scale: int = 8) -> None:
        self._lots: dict[int, deque[OpenLot]] = {}
        self._fee_step = quantum(money_scale)

    def apply(self, fill: TradeFill) -> tuple[RoundTrip, ...]:
        """Take the next fill and return the round trips it closes, the oldest lot first; O(1) amortized.

        A fill larger than the open position closes all of it and opens the rest on its own side.
        """
        lots = self._lots.setdefault(fill.instrument, deque())
        qty, fee = fill.qty, fill.fee
        trips: list[RoundTrip] = []
        while qty and lots and lots[0].side is not fill.side:
            lot = lots.popleft()
            piece = min(lot.qty, qty)
            entry_fee = self._part(lot.fees, piece, lot.qty)
            exit_fee = self._part(fee, piece, qty)
            trips.append(_round_trip(lot, fill, piece, EXACT.add(entry_fee, exit_fee)))
            qty, fee = EXACT.subtract(qty, piece), EXACT.subtract(fee, exit_fee)
            if piece < lot.qty:
                lots.appendleft(
                    _open_lot(lot, EXACT.subtract(lot.qty, piece), EXACT.subtract(lot.fees, entry_fee))
                )
        if qty:
            lots.append(
                OpenLot(
                    instrument=fill.instrument,
                    side=fill.side,
                    ts_open_ns=fill.ts_ns,
                    qty=qty,
                    entry_price=fill.price,
                    fees=fee,
                )
            )
        return tuple(trips)

    def open_lots(self) -> tuple[OpenLot, ...]:
        """Return the lots that no fill has closed yet, by instrument and age."""
        return tuple(lot for instrument in sorted(self._lots) for lot in self._lots[instrument])

    def _part(self, fee: Decimal, piece: Decimal, whole: Decimal) -> Decimal:
        if piece == whole:
            return fee
        return round_down(ratio(EXACT.multiply(fee, piece), whole), self._fee_step)


def _open_lot(lot: OpenLot, qty: Decimal, fees: Decimal) -> OpenLot:
    return OpenLot(
        instrument=lot.instrument,
        side=lot.side,
        ts_open_ns=lot.ts_open_ns,
        qty=qty,
        entry_price=lot.entry_price,
        fees=fees,
    )


def _round_trip(lot: OpenLot, fill: TradeFill, qty: Decimal, fees: Decimal) -> RoundTrip:
    pnl = EXACT.subtract(_gain(lot.side, lot.entry_price, fill.price, qty), fees)
    return RoundTrip(
        instrument=lot.instrument,
        side=lot.side,
        ts_open_ns=lot.ts_open_ns,
        ts_close_ns=fill.ts_ns,
        qty=qty,
        entry_price=lot.entry_price,
        exit_price=fill.price,
        fees=fees,
        pnl=pnl,
        return_fraction=float(ratio(pnl, EXACT.multiply(lot.entry_price, qty))),
        duration_ns=fill.ts_ns - lot.ts_open_ns,
    )


class TradeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What all closed round trips amount to. A win has pnl > 0 after fees, a loss < 0; 0 is neither.

    Attributes:
        gross_profit: Sum of the wins, in quote, exact.
        gross_loss: Sum of the losses as a number >= 0, in quote, exact.
        net_pnl: gross_profit - gross_loss, exact.
        win_rate: n_wins / n_trades; NaN without trades.
        profit_factor: gross_profit / gross_loss; infinite with wins and no loss, NaN with neither.
        avg_win: Mean pnl of the wins, in quote; NaN without wins.
        avg_loss: Mean pnl of the losses, in quote, negative; NaN without losses.
        largest_win: In quote; NaN without wins.
        largest_loss: In quote, negative; NaN without losses.
        expectancy: Mean pnl of all round trips, in quote; NaN without trades.
        avg_return: Mean return fraction of all round trips, unweighted; NaN without trades.
        avg_duration_ns: NaN without trades.
    """

    n_trades: int
    n_wins: int
    n_losses: int
    gross_profit: Decimal
    gross_loss: Decimal
    net_pnl: Decimal
    win_rate: float
    profit_factor: float
    avg_win: float
    avg_loss: float
    largest_win: float
    largest_loss: float
    expectancy: float
    avg_return: float
    avg_duration_ns: float


def trade_statistics(trips: Iterable[RoundTrip]) -> TradeStatistics:
    """Return the statistics of closed round trips: exact sums, and floats made of them by one division.

    Source: the usual definitions, as in Kaufman (2013), "Trading Systems and Methods", 5th ed.
    """
    n_trades = n_wins = n_losses = duration_ns = 0
    profit = loss = largest_win = largest_loss = ZERO
    returns = array("d")
    for trip in trips:
        n_trades += 1
        duration_ns += trip.duration_ns
        returns.append(trip.return_fraction)
        if trip.pnl > 0:
            n_wins += 1
            profit, largest_win = EXACT.add(profit, trip.pnl), max(largest_win, trip.pnl)
        elif trip.pnl < 0:
            n_losses += 1
            loss, largest_loss = EXACT.subtract(loss, trip.pnl), min(largest_loss, trip.pnl)
    net = EXACT.subtract(profit, loss)
    return TradeStatistics(
        n_trades=n_trades,
        n_wins=n_wins,
        n_losses=n_losses,
        gross_profit=profit,
        gross_loss=loss,
        net_pnl=net,
        win_rate=n_wins / n_trades if n_trades else math.nan,
        profit_factor=_profit_factor(profit, loss),
        avg_win=_mean(profit, n_wins),
        avg_loss=_mean(EXACT.minus(loss), n_losses),
        largest_win=float(largest_win) if n_wins else math.nan,
        largest_loss=float(largest_loss) if n_losses else math.nan,
        expectancy=_mean(net, n_trades),
        avg_return=math.fsum(returns) / n_trades if n_trades else math.nan,
        avg_duration_ns=duration_ns / n_trades if n_trades else math.nan,
    )


def _profit_factor(profit: Decimal, loss: Decimal) -> float:
    if loss:
        return float(ratio(profit, loss))
    return math.inf if profit else math.nan


def _mean(total: Decimal, count: int) -> float:
    return float(ratio(total, Decimal(count))) if count else math.nan
