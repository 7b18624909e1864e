"""Apply a fill to a position: the only profit arithmetic of the framework.

A position is a signed quantity and what it cost, never a rounded average. Closing takes out the closed share of the
cost (average cost method); that share is rounded once to `COST_QUANTUM`, half to even, and what was rounded away
stays in the cost of the rest, so that nothing is lost: a partial close shifts at most half a quantum between
realized profit and cost, their sum is always exact, and when the position is flat again, realized profit is the
exact difference of what came in and what went out.
"""

from decimal import Decimal

import msgspec

from njord.core.units import EXACT, ZERO, quantum, round_half_even, share

COST_QUANTUM = quantum(18)

_add, _subtract, _multiply, _divide = EXACT.add, EXACT.subtract, EXACT.multiply, EXACT.divide


class Position(msgspec.Struct, frozen=True, gc=False):
    """A holding of one instrument.

    Attributes:
        qty: In base, negative when short.
        cost: In quote, signed like `qty`: what was paid for a long, minus what was received for a short.
        realized_pnl: In quote, before fees, average cost.
    """

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO

    def value(self, price: Decimal) -> Decimal:
        """Return the position's worth at `price`, in quote, exact."""
        return _multiply(self.qty, price)

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        """Return worth at `price` minus cost, in quote, exact."""
        return _subtract(_multiply(self.qty, price), self.cost)

    def after(self, signed_qty: Decimal, price: Decimal) -> "Position":
        """Return the position after trading `signed_qty` (buy > 0, sell < 0, in base) at `price`."""
        return self.after_trade(signed_qty, _multiply(signed_qty, price))

    def after_trade(self, signed_qty: Decimal, traded: Decimal) -> "Position":
        """Return the position after trading `signed_qty` for `traded`, which is `signed_qty` x a price, exact."""
        if not self.qty or (self.qty > ZERO) == (signed_qty > ZERO):
            return Position(_add(self.qty, signed_qty), _add(self.cost, traded), self.realized_pnl)
        if signed_qty.copy_abs() <= self.qty.copy_abs():
            return self._reduced(signed_qty, traded)
        # Reversal: close everything, then open the rest on the other side at this fill's price.
        rest = _add(self.qty, signed_qty)
        opened = _multiply(rest, _divide(traded, signed_qty))
        closed = _subtract(traded, opened)
        realized = _subtract(self.realized_pnl, _add(self.cost, closed))
        return Position(rest, opened, realized)

    def _reduced(self, signed_qty: Decimal, traded: Decimal) -> "Position":
        qty = _add(self.qty, signed_qty)
        if qty:
            closed = share(self.cost, signed_qty.copy_negate(), self.qty)
            rounded = round_half_even(closed, COST_QUANTUM)
            released = closed if closed == rounded else rounded  # The shorter spelling of the same number.
        else:
            released = self.cost
        # For a sale `traded` is minus the proceeds: realized = proceeds - released cost, for both signs.
        realized = _subtract(self.realized_pnl, _add(traded, released))
        return Position(qty, _subtract(self.cost, released), realized)
