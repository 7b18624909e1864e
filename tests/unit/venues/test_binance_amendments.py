"""An amended order is one order to the host and several at the venue: never more of it than was approved, never two."""

from typing import Any

import pytest

from njord.core.types import SELL, OrderReason, OrderStatus, OrderType
from njord.core.units import NS_PER_S
from njord.exchange.wire import Fate
from njord.venues.binance_options import CoreOptions
from tests.unit.exchange.exchange_case import change, trade
from tests.unit.venues.amend_case import executed, holds, resting
from tests.unit.venues.binance_case import CoreCase
from tests.unit.venues.test_binance_faults import ALL_REPORTS, error, first, instead, is_, lose, mute

S, R = OrderStatus, OrderReason
REPLACE = is_("POST", "order/cancelReplace")


@pytest.fixture
def case() -> CoreCase:
    """See `resting`."""
    return resting()


def test_an_order_without_a_fill_is_replaced_in_one_request_and_keeps_its_name(case: CoreCase) -> None:
    case.amend("NJ-1", lots=20, price=94)
    case.to(4)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.ACCEPTED]
    assert case.reasons("NJ-1") == [R.NONE, R.AMENDED]
    assert holds(case) == (20, 0, 94, 0)
    assert executed(case) == [("NJ-1", "1", "0", "CANCELED"), ("NJ-1-1", "2", "0", "NEW")]
    (sent,) = case.sent("POST", "order/cancelReplace")
    assert {name: sent[name] for name in ("cancelReplaceMode", "cancelOrigClientOrderId", "cancelRestrictions")} == {
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrigClientOrderId": "NJ-1",
        "cancelRestrictions": "ONLY_NEW",
    }  # fmt: skip
    assert case.sent("DELETE", "order") == []
    case.to(30)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 20
    case.check()


def test_what_does_not_change_stays_as_it_was(case: CoreCase) -> None:
    case.amend("NJ-1", price=93)
    case.to(4)
    assert holds(case) == (10, 0, 93, 0)
    case.amend("NJ-1", lots=12)
    case.to(5)
    assert holds(case) == (12, 0, 93, 0)
    assert [name for name, *_ in executed(case)] == ["NJ-1", "NJ-1-1", "NJ-1-2"]
    case.check()


def test_of_an_order_that_has_begun_to_fill_only_what_is_left_is_placed_anew(case: CoreCase) -> None:
    case.to(9)
    assert case.statuses("NJ-1")[-1] is S.ACCEPTED
    case.amend("NJ-1", lots=15, price=94)
    case.to(10)
    assert case.reasons("NJ-1")[-1] is R.AMENDED
    assert holds(case) == (15, 4, 94, 0)
    assert executed(case) == [("NJ-1", "1", "0.4", "CANCELED"), ("NJ-1-1", "1.1", "0", "NEW")]
    assert case.sent("POST", "order/cancelReplace") == []
    case.to(30)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert sum(each.qty_lots for each in case.fills("NJ-1")) == 15
    case.check()


def test_a_fill_on_the_way_takes_its_lots_from_the_new_leg(case: CoreCase) -> None:
    case.to(7.995)  # The request arrives after the trade of 8 s; its core has not heard of that.
    case.amend("NJ-1", lots=15, price=94)
    case.to(10)
    assert holds(case) == (15, 4, 94, 0)
    assert executed(case) == [("NJ-1", "1", "0.4", "CANCELED"), ("NJ-1-1", "1.1", "0", "NEW")]
    case.check()


def test_an_order_that_fills_on_the_way_is_filled_and_nothing_takes_its_place(case: CoreCase) -> None:
    case.to(19.995)
    case.amend("NJ-1", lots=15, price=94)
    case.to(22)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert R.AMENDED not in case.reasons("NJ-1")
    assert [name for name, *_ in executed(case)] == ["NJ-1"]
    case.check()


def test_lots_that_filled_while_room_was_made_are_left_out(case: CoreCase) -> None:
    case.to(7.995)
    case.trouble.on_fate = lambda request: (
        Fate(request_delay_ns=NS_PER_S) if request.method == "DELETE" else None
    )
    case.to(9)
    case.amend("NJ-1", lots=4, price=94)  # Filled already: that can not be.
    case.amend("NJ-1", lots=12, price=94)
    case.to(12)
    assert case.reasons("NJ-1")[-2:] == [R.AMEND_REFUSED, R.AMENDED]
    assert holds(case) == (12, 4, 94, 0)
    case.check()


def test_a_lost_answer_leaves_the_order_unknown_until_the_venue_has_shown_the_new_leg(case: CoreCase) -> None:
    mute(case, *ALL_REPORTS)
    lose(case, first(1, REPLACE), loses_response=True)
    case.amend("NJ-1", price=94)
    n_asked = len(case.sent("GET", "order"))
    case.to(8.1)
    asked = {each["origClientOrderId"] for each in case.sent("GET", "order")[n_asked:]}
    assert asked == {"NJ-1", "NJ-1-1"}  # Both halves, and at once.
    case.to(8.5)
    assert case.statuses("NJ-1")[-2:] == [S.UNKNOWN, S.ACCEPTED]
    assert case.reasons("NJ-1")[-1] is R.AMENDED
    assert len(case.sent("POST", "order/cancelReplace")) == 1
    case.to(30)
    assert case.statuses("NJ-1")[-1] is S.FILLED
    case.check()


def test_a_lost_request_is_refused_once_it_can_not_arrive_any_more(case: CoreCase) -> None:
    lose(case, first(1, REPLACE), loses_request=True)
    case.amend("NJ-1", price=94)
    case.to(10)
    assert case.statuses("NJ-1")[-1] in (S.UNKNOWN, S.PARTIALLY_FILLED)
    case.to(19)
    assert R.AMEND_REFUSED not in case.reasons("NJ-1")
    case.to(100)
    assert R.AMENDED not in case.reasons("NJ-1")
    assert case.statuses("NJ-1")[-1] is S.FILLED
    assert [name for name, *_ in executed(case)] == ["NJ-1"]
    case.check()


def test_after_a_lost_request_an_order_that_still_rests_holds_as_it_was() -> None:
    case = CoreCase()
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(3)
    lose(case, first(1, REPLACE), loses_request=True)
    case.amend("NJ-1", price=94)
    case.to(100)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.UNKNOWN, S.ACCEPTED]
    assert case.reasons("NJ-1")[-1] is R.AMEND_REFUSED
    assert holds(case) == (10, 0, 95, 0)
    case.amend("NJ-1", price=93)
    case.to(101)
    assert holds(case) == (10, 0, 93, 0)
    case.check()


@pytest.mark.parametrize("answer", [error(500, -1000, "?"), error(503, -1008, "?"), error(400, -1006, "?")])
def test_no_clear_word_is_unknown_and_nothing_is_sent_twice(case: CoreCase, answer: Any) -> None:
    instead(case, first(1, REPLACE), answer)
    case.amend("NJ-1", price=94)
    case.to(4)
    assert case.statuses("NJ-1") == [S.ACCEPTED, S.UNKNOWN]
    case.to(7)
    assert len(case.sent("POST", "order/cancelReplace")) == 1


def test_a_new_leg_that_the_venue_refuses_ends_the_order_with_its_reason(case: CoreCase) -> None:
    case.place("NJ-2", price=95, post_only=True)
    case.to(4)
    case.amend("NJ-2", price=101)
    case.to(5)
    last = case.updates("NJ-2")[-1]
    assert (last.status, last.reason) == (S.CANCELED, R.POST_ONLY_WOULD_TAKE)
    case.check()


@pytest.mark.parametrize(
    "change_to",
    [{"lots": 10}, {"price": 95}, {"trigger": 96}, {"lots": 4, "price": 4}],
    ids=["same lots", "same price", "no trigger to change", "below the least notional"],
)
def test_what_it_can_not_become_is_refused_without_the_venue(
    case: CoreCase, change_to: dict[str, int]
) -> None:
    case.amend("NJ-1", **change_to)
    case.to(4)
    assert case.reasons("NJ-1") == [R.NONE, R.AMEND_REFUSED]
    assert holds(case) == (10, 0, 95, 0)
    assert case.sent("POST", "order/cancelReplace") == []
    case.check()


def test_less_than_has_filled_is_refused(case: CoreCase) -> None:
    case.to(9)
    case.amend("NJ-1", lots=4)
    case.to(10)
    assert case.reasons("NJ-1")[-1] is R.AMEND_REFUSED
    assert case.sent("DELETE", "order") == []
    case.check()


def test_an_amendment_of_what_is_not_known_says_nothing(case: CoreCase) -> None:
    before = len(case.words)
    case.amend("NJ-9", price=94)
    assert case.words[before:] == []


def test_an_amendment_waits_until_the_order_is_known_to_exist(case: CoreCase) -> None:
    case.place("NJ-2", price=80)
    case.amend("NJ-2", price=81)
    case.to(4)
    assert case.reasons("NJ-2") == [R.NONE, R.AMENDED]
    case.check()


def test_amendments_are_answered_in_their_order(case: CoreCase) -> None:
    case.amend("NJ-1", price=94)
    case.amend("NJ-1", price=94)
    case.amend("NJ-1", lots=12)
    case.to(4)
    assert case.reasons("NJ-1") == [R.NONE, R.AMENDED, R.AMEND_REFUSED, R.AMENDED]
    assert [name for name, *_ in executed(case)] == ["NJ-1", "NJ-1-1", "NJ-1-3"]
    assert holds(case) == (12, 0, 94, 0)
    case.check()


@pytest.mark.parametrize("after_ms", [0, 5, 15, 25, 40])
def test_a_cancel_ends_the_order_wherever_the_amendment_is(case: CoreCase, after_ms: int) -> None:
    case.amend("NJ-1", price=94)
    case.to(3 + after_ms / 1000)
    case.cancel("NJ-1")
    case.to(5)
    assert case.statuses("NJ-1")[-1] is S.CANCELED
    assert case.reasons("NJ-1")[-1] is R.CANCEL_REQUESTED
    assert not case.case.alice.open_orders
    case.check()


@pytest.mark.parametrize("after_ms", [0, 5, 15, 25, 40])
def test_a_cancel_while_room_is_made_leaves_no_new_leg(case: CoreCase, after_ms: int) -> None:
    case.to(9)
    case.amend("NJ-1", price=94)
    case.to(9 + after_ms / 1000)
    case.cancel("NJ-1")
    case.to(12)
    assert case.statuses("NJ-1")[-1] is S.CANCELED
    assert not case.case.alice.open_orders
    case.check()


def test_room_that_is_made_too_late_is_taken_by_nothing(case: CoreCase) -> None:
    case.to(9)
    lose(case, first(3, lambda request: request.method == "DELETE"), loses_request=True)
    case.amend("NJ-1", price=94)
    case.to(19.9)
    mute(case, "TRADE")
    case.to(60)
    assert R.AMENDED not in case.reasons("NJ-1")
    assert len(executed(case)) == 1
    case.check()


def test_an_approval_is_too_old_when_the_cancel_took_longer_than_may_be_waited() -> None:
    case = CoreCase(trade(8, 95, 4, trade_id=5), options=CoreOptions(amend_wait_ns=NS_PER_S))
    case.to(2)
    case.place("NJ-1", price=95)
    case.to(9)
    slow = Fate(request_delay_ns=2 * NS_PER_S)
    case.trouble.on_fate = lambda request: slow if request.method == "DELETE" else None
    case.amend("NJ-1", price=94)
    case.to(20)
    last = case.updates("NJ-1")[-1]
    assert (last.status, last.reason) == (S.CANCELED, R.APPROVAL_EXPIRED)
    assert case.sent("POST", "order")[1:] == []
    case.check()


def test_while_the_venue_is_not_ready_the_order_stays_as_it_is(case: CoreCase) -> None:
    case.core.stream_closed("it broke", case.time.now_ns())
    case.amend("NJ-1", price=94)
    case.to(3.001)
    assert case.reasons("NJ-1")[-1] is R.AMEND_REFUSED
    assert case.sent("POST", "order/cancelReplace") == []


def test_a_stop_is_replaced_by_a_stop_and_once_triggered_by_a_plain_order() -> None:
    moves = [change(6, bids=[(99, 0), (98, 0), (89, 50)]), trade(6, 90, 1, trade_id=7)]
    case = CoreCase(*moves)
    case.to(2)
    case.place("NJ-1", type_=OrderType.STOP_LIMIT, side=SELL, trigger_price_ticks=92, price=95)
    case.to(3)
    case.amend("NJ-1", trigger=91)
    case.to(4)
    assert holds(case) == (10, 0, 95, 91)
    case.to(7)
    assert case.reasons("NJ-1")[-1] is R.TRIGGERED
    case.amend("NJ-1", trigger=80)
    case.amend("NJ-1", price=97)
    case.to(8)
    assert case.reasons("NJ-1")[-2:] == [R.AMEND_REFUSED, R.AMENDED]
    assert [each["type"] for each in case.legs("NJ-1")] == ["STOP_LOSS_LIMIT", "STOP_LOSS_LIMIT", "LIMIT"]
    assert case.updates("NJ-1")[-1].type is OrderType.STOP_LIMIT
    case.check()
