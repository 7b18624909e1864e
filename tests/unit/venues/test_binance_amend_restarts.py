"""A host that dies while orders are amended finds the legs that work, whatever its journal has lost."""

import pytest

from njord.core.types import OrderReason, OrderStatus
from njord.core.units import NS_PER_S
from njord.exchange.wire import Fate
from njord.venues.binance_options import CoreOptions
from njord.venues.broker_wire import ExternalFill
from tests.unit.exchange.exchange_case import trade
from tests.unit.venues.amend_case import executed, holds, resting
from tests.unit.venues.binance_case import CoreCase
from tests.unit.venues.test_binance_faults import is_

S, R = OrderStatus, OrderReason


@pytest.fixture
def case() -> CoreCase:
    """See `resting`."""
    return resting()


@pytest.mark.parametrize("has_filled", [False, True])
@pytest.mark.parametrize("after_ms", [0, 5, 12, 21, 25, 32, 41, 60])
def test_a_restart_at_any_moment_of_an_amendment_ends_at_the_truth(after_ms: int, has_filled: bool) -> None:
    case = CoreCase(trade(8, 95, 4, trade_id=5), trade(200, 94, 7, trade_id=8))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(9 if has_filled else 3)
    case.amend("NJ-1", lots=15, price=94)
    case.to((9 if has_filled else 3) + after_ms / 1000)
    case.restart()
    case.to(190)
    rows = case.legs("NJ-1")
    is_open = rows[-1]["status"] in ("NEW", "PARTIALLY_FILLED")
    assert case.reasons("NJ-1").count(R.AMENDED) == len(rows) - 1
    if not is_open:
        assert (case.statuses("NJ-1")[-1], case.reasons("NJ-1")[-1]) == (S.CANCELED, R.NEVER_ARRIVED)
    case.check()
    case.to(210)
    case.check()


@pytest.mark.parametrize("after_ms", [0, 15, 25, 45, 65, 100])
def test_a_restart_among_several_amendments_ends_at_the_truth(after_ms: int) -> None:
    case = CoreCase(trade(8, 95, 4, trade_id=5), trade(300, 92, 400, trade_id=8))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(3)
    for price in (94, 93, 92):
        case.amend("NJ-1", price=price)
    case.to(3 + after_ms / 1000)
    case.restart()
    case.to(290)
    case.check()
    assert sum(each in (R.AMENDED, R.AMEND_REFUSED) for each in case.reasons("NJ-1")) == 3
    case.to(310)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_a_session_that_goes_on_knows_the_trades_of_every_leg(case: CoreCase) -> None:
    case.to(9)
    case.amend("NJ-1", lots=15, price=94)
    case.to(10)
    case.restart()
    case.to(15)
    case.amend("NJ-1", lots=18)
    case.to(16)
    assert holds(case) == (18, 4, 94, 0)
    assert executed(case)[-1] == ("NJ-1-2", "1.4", "0", "NEW")
    case.to(40)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 18
    case.check()


@pytest.mark.parametrize("n_amends", [1, 2])
def test_a_restart_that_has_lost_every_answer_finds_the_leg_that_works(case: CoreCase, n_amends: int) -> None:
    for price in (94, 93)[:n_amends]:
        case.amend("NJ-1", price=price)
    case.to(4)
    assert len(executed(case)) == n_amends + 1
    case.words.clear()  # They were told, and the disk has none of them.
    case.restart()
    case.to(15)
    assert case.reasons("NJ-1").count(R.AMENDED) == n_amends
    assert holds(case) == (10, 0, 95 - n_amends, 0)
    case.to(40)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_a_restart_that_has_lost_a_trade_as_well_finds_the_leg_of_what_was_left(case: CoreCase) -> None:
    case.to(9)
    case.amend("NJ-1", lots=15, price=94)
    case.to(10)
    case.words[:] = [each for each in case.words if each in case.updates("NJ-1")[:1]]
    case.restart()
    case.to(25)
    assert case.reasons("NJ-1").count(R.AMENDED) == 1
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 15
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_amended_orders_that_ended_long_ago_are_forgotten() -> None:
    case = CoreCase(options=CoreOptions(ended_kept=2))
    case.to(2)
    for number in range(1, 6):
        name = f"NJ-{number}"
        case.place(name, price=80)
        case.to(2 + number)
        case.amend(name, price=81)
        case.to(2.4 + number)
        case.cancel(name)
    case.to(9)
    case.restart()
    case.to(12)
    assert case.core.is_ready
    case.place("NJ-6", price=80)
    case.to(13)
    case.amend("NJ-6", price=81)
    case.to(14)
    assert case.reasons("NJ-6") == [R.NONE, R.AMENDED]
    case.check()


def test_what_filled_of_an_order_counts_however_many_have_ended_since() -> None:
    case = CoreCase(trade(8, 95, 4, trade_id=5), options=CoreOptions(ended_kept=2))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(9)
    case.amend("NJ-1", lots=15)
    for number in range(2, 6):
        case.to(8 + number)
        case.place(f"NJ-{number}", price=80)
        case.to(8.5 + number)
        case.cancel(f"NJ-{number}")
    case.to(15)
    case.restart()
    case.to(20)
    case.amend("NJ-1", price=94)
    case.to(21)
    assert holds(case) == (15, 4, 94, 0)
    assert executed(case)[-1] == ("NJ-1-2", "1.1", "0", "NEW")


def test_a_trade_of_a_leg_whose_turn_to_be_found_is_yet_to_come_is_no_strangers(case: CoreCase) -> None:
    for price in (94, 93, 92):
        case.amend("NJ-1", price=price)
    case.to(25)
    assert [status for *_, status in executed(case)] == ["CANCELED"] * 3 + ["FILLED"]
    case.words.clear()
    slow, order = Fate(response_delay_ns=2 * NS_PER_S), is_("GET", "order")
    case.trouble.on_fate = lambda request: slow if order(request) else None
    case.restart()
    case.to(60)
    assert [type(each) for each in case.words if isinstance(each, ExternalFill)] == []
    assert case.reasons("NJ-1").count(R.AMENDED) == 3
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 10
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert case.core.is_ready
    case.check()


def test_behind_an_amendment_that_was_refused_a_restart_finds_the_next_one(case: CoreCase) -> None:
    case.amend("NJ-1", price=95)
    case.amend("NJ-1", price=94)
    case.to(4)
    assert [name for name, *_ in executed(case)] == ["NJ-1", "NJ-1-2"]
    case.words.clear()
    case.restart()
    case.to(200)
    assert case.reasons("NJ-1").count(R.AMEND_REFUSED) == 1
    assert case.reasons("NJ-1").count(R.AMENDED) == 1
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_behind_an_amendment_to_less_than_has_filled_a_restart_finds_the_next_one(case: CoreCase) -> None:
    case.to(9)
    case.amend("NJ-1", lots=3)
    case.amend("NJ-1", lots=12)
    case.to(10)
    assert [name for name, *_ in executed(case)] == ["NJ-1", "NJ-1-2"]
    case.words.clear()
    case.restart()
    case.to(200)
    assert [each for each in case.reasons("NJ-1") if each in (R.AMENDED, R.AMEND_REFUSED)] == [
        R.AMEND_REFUSED,
        R.AMENDED,
    ]
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 12
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()
