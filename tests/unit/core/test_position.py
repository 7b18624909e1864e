"""Positions by hand, the seed's case and planted bug 23 among them."""

from decimal import Decimal

import pytest

from njord.core.position import COST_QUANTUM, Position
from njord.core.units import EXACT


def after(*trades: tuple[str, str]) -> Position:
    position = Position()
    for qty, price in trades:
        position = position.after(Decimal(qty), Decimal(price))
    return position


def average(position: Position) -> Decimal:
    return position.cost / position.qty


def test_buy_4_at_10_sell_1_at_11_sell_5_at_9_is_short_2_at_9_with_a_loss_of_2() -> None:
    position = after(("4", "10"), ("-1", "11"), ("-5", "9"))
    assert position.qty == -2
    assert average(position) == 9
    assert position.realized_pnl == -2


def test_a_flip_through_zero_opens_at_the_price_of_the_flip() -> None:
    assert average(after(("1", "100"), ("-3", "50"))) == 50
    assert average(after(("-1", "100"), ("3", "50"))) == 50
    assert after(("-1", "100"), ("3", "50")).realized_pnl == 50


def test_a_short_earns_when_the_price_falls() -> None:
    position = after(("-2", "100"))
    assert position.cost == -200
    assert position.unrealized_pnl(Decimal(90)) == 20
    assert position.value(Decimal(90)) == -180
    assert after(("-2", "100"), ("1", "90")).realized_pnl == 10


def test_what_a_partial_close_rounds_away_stays_in_the_cost_of_the_rest() -> None:
    position = after(("1", "1"), ("2", "2"), ("-1", "2"))
    # Cost 5 over 3: a third of it has no end. The quantum is the one promised, 18 decimals.
    assert position.cost + (2 - position.realized_pnl) == 5
    assert abs(position.realized_pnl * 3 - 1) <= 3 * COST_QUANTUM / 2
    assert COST_QUANTUM.as_tuple() == Decimal("1e-18").as_tuple()
    assert after(("1", "1"), ("2", "2"), ("-1", "2"), ("-2", "2")).realized_pnl == 1


def test_a_close_to_zero_leaves_nothing_behind() -> None:
    assert after(("3", "0.1"), ("-1", "0.2"), ("-2", "0.3")) == Position(
        Decimal(0), Decimal(0), Decimal("0.5")
    )


def test_more_than_28_digits_are_kept() -> None:
    size = "12345678901.123456789012345678"
    position = after((size, "1"), ("-" + size, "2"))
    assert not position.qty
    assert position.realized_pnl == Decimal(size)


def test_a_flip_by_the_29th_digit_is_still_a_flip() -> None:
    position = after(("12345678901.123456789012345678", "1"), ("-12345678901.123456789012345679", "5"))
    assert position.qty == Decimal("-1e-18")
    assert position.cost == Decimal("-5e-18")


def test_a_partial_close_of_the_longest_amounts_keeps_every_digit() -> None:
    # Found by the campaign: cost x quantity needed more digits than the context had.
    position = Position().after(
        Decimal("9999999999.999999999999999999"), Decimal("1249999.999999999999999237")
    )
    position = position.after(Decimal("12345678901.123456789012345678"), Decimal(1))
    closed = position.after(Decimal("-12345678901.123456789012345678"), Decimal(1))
    assert closed.qty == Decimal("9999999999.999999999999999999")
    flat = closed.after(-closed.qty, Decimal(1))
    assert not flat.qty
    assert not flat.cost


@pytest.mark.parametrize("price", ["10.50", "0.1", "7", "0.00012300", "3333.333", "0.0"])
@pytest.mark.parametrize(("held", "traded"), [("1.00", "-3.00"), ("-0.30", "7.10"), ("0.00000001", "-1.5")])
def test_a_reversal_opens_at_the_fills_price_spelled_as_the_price_says_it(
    held: str, traded: str, price: str
) -> None:
    position = Position().after(Decimal(held), Decimal("9.25")).after(Decimal(traded), Decimal(price))
    opened = EXACT.multiply(EXACT.add(Decimal(held), Decimal(traded)), Decimal(price))
    assert str(position.cost) == str(opened)
