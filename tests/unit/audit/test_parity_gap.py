"""Every part of a gap in profit, by hand: what it is, and that nothing else takes the blame."""

from decimal import Decimal

import pytest

from njord.audit.parity_gap import Parts
from njord.core.contracts import VENUE
from njord.core.errors import InvariantError
from njord.core.types import InstrumentKind
from tests.unit.audit.parity_scene import Scene, parts_of


def rising() -> Scene:
    """100 at 10, 110 at 20, 130 at 90."""
    return Scene().price(10, 100).price(20, 110)


def ended(scene: Scene) -> Scene:
    return scene.price(90, 130)


def bought(scene: Scene, decided_ns: int, filled_ns: int, ticks: int, lots: int = 5, fee: str = "0") -> Scene:
    return scene.decide(decided_ns, lots).fill(filled_ns, lots, ticks, fee)


def test_two_equal_sides_have_no_gap() -> None:
    sides = [ended(bought(rising(), 20, 20, 111, fee="0.5")) for _ in range(2)]
    assert parts_of(*sides) == Parts()


def test_a_fee_that_was_higher_counts_against_the_session() -> None:
    session = ended(bought(rising(), 20, 20, 111, fee="0.75"))
    backtest = ended(bought(rising(), 20, 20, 111, fee="0.5"))
    assert parts_of(session, backtest) == Parts(fees=Decimal("-0.25"))


def test_another_price_at_the_same_mark_is_price() -> None:
    session, backtest = ended(bought(rising(), 20, 20, 113)), ended(bought(rising(), 20, 20, 111))
    assert parts_of(session, backtest) == Parts(price=Decimal(-10))


def test_what_the_market_moves_on_a_longer_way_is_latency() -> None:
    session = ended(bought(Scene().price(10, 100), 10, 10, 101).price(20, 110))
    backtest = ended(bought(rising(), 10, 20, 111))
    assert parts_of(session, backtest) == Parts(latency=Decimal(50))


def test_what_the_market_moves_until_a_later_decision_is_decision_time() -> None:
    session = ended(bought(Scene().price(10, 100), 10, 10, 101).price(20, 110))
    backtest = ended(bought(rising(), 20, 20, 111))
    assert parts_of(session, backtest) == Parts(decision_time=Decimal(50))


def test_a_sale_counts_the_other_way_round() -> None:
    session = ended(bought(Scene().price(10, 100), 10, 10, 101, lots=-5).price(20, 110))
    backtest = ended(bought(rising(), 20, 20, 108, lots=-5))
    assert parts_of(session, backtest) == Parts(decision_time=Decimal(-50), price=Decimal(15))


def test_another_mark_at_the_same_time_is_data_and_so_is_another_last_mark() -> None:
    session = ended(bought(Scene().price(10, 100), 10, 10, 100))
    cheaper = ended(bought(Scene().price(10, 97), 10, 10, 97))
    assert parts_of(session, cheaper, has_same_data=False) == Parts(data=Decimal(-15))
    ends_lower = bought(Scene().price(10, 100), 10, 10, 100).price(90, 126)
    assert parts_of(session, ends_lower, has_same_data=False) == Parts(data=Decimal(20))


def test_other_data_do_not_hide_a_later_decision() -> None:
    session = ended(bought(Scene().price(10, 100), 10, 10, 100).price(20, 110))
    backtest = ended(bought(Scene().price(10, 98).price(20, 109), 20, 20, 109))
    # At 10 the data differ by 2, and the backtest's own moved by 11 until it decided.
    assert parts_of(session, backtest, has_same_data=False) == Parts(
        data=Decimal(-10), decision_time=Decimal(55)
    )


def test_quantity_that_one_side_filled_alone_is_missed_at_the_last_mark() -> None:
    session, backtest = ended(bought(rising(), 20, 20, 111)), rising().decide(20, 5)
    assert parts_of(session, ended(backtest)) == Parts(missed_fills=Decimal(5 * (130 - 111)))
    partly = ended(rising().decide(20, 5).fill(20, 2, 111, "0.1"))
    assert parts_of(session, partly) == Parts(missed_fills=Decimal(3 * (130 - 111)), fees=Decimal("0.1"))
    assert parts_of(partly, session) == Parts(missed_fills=Decimal(-3 * (130 - 111)), fees=Decimal("-0.1"))


def test_fills_of_one_decision_are_compared_piece_by_piece() -> None:
    session = ended(rising().decide(20, 5).fill(20, 2, 111).fill(20, 3, 112))
    backtest = ended(rising().decide(20, 5).fill(20, 4, 110).fill(20, 1, 115))
    # 2 at 111 and 2 at 112 against 110, one at 112 against 115.
    assert parts_of(session, backtest) == Parts(price=Decimal(-2 - 4 + 3))


def test_a_decision_that_one_side_made_alone_is_missed_unless_its_data_differ() -> None:
    session = ended(bought(rising(), 20, 20, 111, fee="1"))
    assert parts_of(session, ended(rising())) == Parts(missed_fills=Decimal(95), fees=Decimal(-1))
    assert parts_of(session, ended(rising()), has_same_data=False) == Parts(
        missed_fills=Decimal(95), fees=Decimal(-1)
    )
    other = ended(Scene().price(10, 100).price(20, 109))
    assert parts_of(session, other, has_same_data=False) == Parts(data=Decimal(95), fees=Decimal(-1))
    assert parts_of(other, session, has_same_data=False) == Parts(data=Decimal(-95), fees=Decimal(1))


def test_a_fee_in_kind_costs_what_the_asset_is_worth_in_the_end() -> None:
    session = ended(rising().decide(20, 50).fill(20, 50, 110, "0.5", fee_asset="AAA"))
    backtest = ended(rising().decide(20, 50).fill(20, 50, 110, "0.25", fee_asset="AAA"))
    assert parts_of(session, backtest) == Parts(fees=Decimal("-0.25") * 130)


def test_funding_is_compared_as_it_was_paid() -> None:
    linear = InstrumentKind.LINEAR
    session = ended(bought(Scene(linear).price(20, 110), 20, 20, 110).fund(30, "-1.5"))
    backtest = ended(bought(Scene(linear).price(20, 110), 20, 20, 110).fund(30, "0.25"))
    assert parts_of(session, backtest) == Parts(funding=Decimal("-1.75"))


def test_a_liquidation_stands_as_the_venues_own_decision() -> None:
    def liquidated(ticks: int) -> Scene:
        scene = bought(Scene(InstrumentKind.LINEAR).price(20, 110), 20, 20, 110).price(30, 60)
        return scene.fill(31, -5, ticks, strategy_id=VENUE).price(90, 50)

    assert parts_of(liquidated(58), liquidated(55)) == Parts(price=Decimal(15))


def test_an_account_that_is_not_its_fills_is_an_error() -> None:
    session = ended(bought(rising(), 20, 20, 111))
    session.witness.fills["mine-1"].pop()
    with pytest.raises(InvariantError, match="an account has gained 95, its fills add up to 0"):
        parts_of(session, ended(rising()))


def test_a_fee_that_nothing_can_value_is_an_error() -> None:
    with pytest.raises(InvariantError, match="a fee in BNB"):
        rising().decide(20, 1).fill(20, 1, 110, "0.1", fee_asset="BNB")
