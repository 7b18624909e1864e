"""Position arithmetic against an oracle over fractions, for any sequence of fills."""

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from njord.core.position import COST_QUANTUM, Position

HALF_QUANTUM = Fraction(COST_QUANTUM) / 2

# Whole and odd sizes, many digits, and prices from dust to millions: 28 digits are not enough for these.
SIZES = st.one_of(
    st.integers(1, 9).map(Decimal),
    st.decimals("1e-18", "1e10", places=18, allow_nan=False),
    st.sampled_from(["0.001", "3", "7", "12345678901.123456789012345678"]).map(Decimal),
)
PRICES = st.one_of(
    st.integers(1, 20).map(Decimal),
    st.decimals("1e-18", "1e7", places=18, allow_nan=False),
)
TRADES = st.lists(st.tuples(st.booleans(), SIZES, PRICES), min_size=1, max_size=25)


class Oracle(msgspec.Struct):
    """Average cost without any rounding."""

    qty: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    realized: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)
    n_partial: int = 0  # Partial closes since the position was last flat or flipped.

    def trade(self, signed: Fraction, price: Fraction) -> None:
        """Buy or sell."""
        self.cash -= signed * price
        if self.qty * signed >= 0:
            self.average = (self.average * self.qty + signed * price) / (self.qty + signed)
            self.qty += signed
            return
        closed = min(abs(signed), abs(self.qty)) * (1 if self.qty > 0 else -1)
        self.realized += closed * (price - self.average)
        self.qty += signed
        if self.qty * closed <= 0:
            self.average, self.n_partial = (price if self.qty else Fraction(0)), 0
        else:
            self.n_partial += 1


def follow(trades: list[tuple[bool, Decimal, Decimal]]) -> list[tuple[Position, Oracle]]:
    position, oracle, steps = Position(), Oracle(), []
    for is_buy, qty, price in trades:
        signed = qty if is_buy else qty.copy_negate()
        position = position.after(signed, price)
        oracle.trade(Fraction(signed), Fraction(price))
        steps.append((position, msgspec.structs.replace(oracle)))
    return steps


@given(TRADES)
def test_quantity_and_cost_follow_the_oracle_through_longs_shorts_and_reversals(
    trades: list[tuple[bool, Decimal, Decimal]],
) -> None:
    for position, oracle in follow(trades):
        assert Fraction(position.qty) == oracle.qty
        error = abs(Fraction(position.cost) - oracle.average * oracle.qty)
        assert error <= oracle.n_partial * HALF_QUANTUM


@given(TRADES, PRICES)
def test_realized_plus_unrealized_is_exactly_what_came_in_and_what_is_held(
    trades: list[tuple[bool, Decimal, Decimal]], mark: Decimal
) -> None:
    for position, oracle in follow(trades):
        profit = Fraction(position.realized_pnl) + Fraction(position.unrealized_pnl(mark))
        assert profit == oracle.cash + oracle.qty * Fraction(mark)


@given(TRADES)
def test_realized_profit_is_off_by_half_a_quantum_per_partial_close_at_most(
    trades: list[tuple[bool, Decimal, Decimal]],
) -> None:
    for position, oracle in follow(trades):
        assert abs(Fraction(position.realized_pnl) - oracle.realized) <= oracle.n_partial * HALF_QUANTUM


@given(TRADES, PRICES)
def test_a_flat_position_has_realized_exactly_proceeds_minus_costs(
    trades: list[tuple[bool, Decimal, Decimal]], price: Decimal
) -> None:
    position, oracle = follow(trades)[-1]
    if position.qty:
        cash = oracle.cash + oracle.qty * Fraction(price)
        position = position.after(position.qty.copy_negate(), price)
    else:
        cash = oracle.cash
    assert not position.qty and not position.cost
    assert Fraction(position.realized_pnl) == cash
