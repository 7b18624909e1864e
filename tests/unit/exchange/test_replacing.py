"""Cancel and replace in one request: each half for itself, filters before both, and what the caller is told of them."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.exchange.exchange_case import Case, trade

OLD, NEW = "NJ-old", "NJ-new"


def resting(*rows: Any, **options: Any) -> Case:
    """Return a case in which alice has one order, a buy at 98."""
    case = Case(*rows, **options)
    case.place(price="98", newClientOrderId=OLD)
    return case


def wish(case: Case, mode: str = "STOP_ON_FAILURE", **given: Any) -> dict[str, Any]:
    """Return the parameters that replace the order by a buy at 97, unless told otherwise."""
    given = {"price": "97", "newClientOrderId": NEW, "cancelOrigClientOrderId": OLD, **given}
    return case.order(cancelReplaceMode=mode, **given)


def open_names(case: Case) -> list[str]:
    return [each["clientOrderId"] for each in case.ask("GET", "openOrders")]


def test_an_order_is_canceled_and_another_placed_and_both_are_answered_as_alone() -> None:
    case = resting()
    case.subscribe()
    case.to(1)
    asked = wish(case, cancelNewClientOrderId="CX-1")
    said = case.ask("POST", "order/cancelReplace", **asked)
    assert (said["cancelResult"], said["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    canceled, placed = said["cancelResponse"], said["newOrderResponse"]
    assert (canceled["origClientOrderId"], canceled["clientOrderId"]) == (OLD, "CX-1")
    assert (canceled["status"], canceled["price"]) == ("CANCELED", "98.00000000")
    assert (placed["clientOrderId"], placed["status"], placed["fills"]) == (NEW, "NEW", [])
    assert case.reports() == [(OLD, "CANCELED", "CANCELED"), (NEW, "NEW", "NEW")]
    assert open_names(case) == [NEW]
    assert case.locked("USDT") == 97


def test_the_new_order_may_have_the_old_ones_id_and_spend_what_it_had_locked() -> None:
    case = resting(balances={"USDT": Decimal(100)})
    case.ask("POST", "order/cancelReplace", **wish(case, price="100", newClientOrderId=OLD))
    assert [(each["orderId"], each["price"]) for each in case.ask("GET", "openOrders")] == [
        (2, "100.00000000")
    ]


UNKNOWN = {"code": -2011, "msg": "Unknown order sent."}
TAKES = {"code": -2010, "msg": "Order would immediately match and take."}


@pytest.mark.parametrize(
    ("mode", "is_known", "makes", "status", "code", "results", "still_open"),
    [
        ("STOP_ON_FAILURE", False, True, 400, -2022, ("FAILURE", "NOT_ATTEMPTED"), [OLD]),
        ("STOP_ON_FAILURE", True, False, 409, -2021, ("SUCCESS", "FAILURE"), []),
        ("ALLOW_FAILURE", False, False, 400, -2022, ("FAILURE", "FAILURE"), [OLD]),
        ("ALLOW_FAILURE", False, True, 409, -2021, ("FAILURE", "SUCCESS"), [OLD, NEW]),
        ("ALLOW_FAILURE", True, False, 409, -2021, ("SUCCESS", "FAILURE"), []),
    ],
)
def test_each_half_is_done_or_not_for_itself_and_told_apart(
    mode: str, is_known: bool, makes: bool, status: int, code: int, results: Any, still_open: list[str]
) -> None:
    case = resting()
    given = {"type": "LIMIT_MAKER", "price": "97" if makes else "102"}
    asked = wish(case, mode, cancelOrigClientOrderId=OLD if is_known else "NJ-none", **given)
    response = case.send("POST", "order/cancelReplace", **asked)
    said = msgspec.json.decode(response.body)
    data = said["data"]
    assert (response.status, said["code"]) == (status, code)
    assert (data["cancelResult"], data["newOrderResult"]) == results
    assert data["cancelResponse"].get("status", data["cancelResponse"]) == (
        "CANCELED" if is_known else UNKNOWN
    )
    assert data["newOrderResponse"] == TAKES or results[1] != "FAILURE"
    assert (data["newOrderResponse"] is None) is (results[1] == "NOT_ATTEMPTED")
    assert open_names(case) == still_open


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"quantity": "0.05"}, -1013),
        ({"price": "97.5"}, -1013),
        ({"cancelReplaceMode": None}, -1102),
        ({"cancelReplaceMode": "MAYBE"}, -1130),
        ({"cancelOrigClientOrderId": None}, -1102),
        ({"cancelRestrictions": "ONLY_MONDAYS"}, -1145),
        ({"timeInForce": None}, -1102),
        ({"color": "red"}, -1104),
    ],
)
def test_what_is_wrong_with_the_request_is_said_before_anything_is_done(
    given: dict[str, Any], code: int
) -> None:
    case = resting()
    assert case.refused("POST", "order/cancelReplace", **{**wish(case), **given})[0] == code
    assert open_names(case) == [OLD]


def test_room_and_rate_are_looked_at_before_the_cancel_and_the_rate_counts_what_was_not_attempted() -> None:
    case = resting(max_open_orders=1, orders_per_10s=2)
    assert case.refused("POST", "order/cancelReplace", **wish(case)) == (
        -1013,
        "Filter failure: MAX_NUM_ORDERS",
    )
    case = resting(orders_per_10s=2)
    assert (
        case.refused("POST", "order/cancelReplace", **wish(case, cancelOrigClientOrderId="NJ-none"))[0]
        == -2022
    )
    assert case.ask("GET", "rateLimit/order")[0]["count"] == 2
    assert case.refused("POST", "order/cancelReplace", **wish(case))[0] == -1015
    assert open_names(case) == [OLD]


def test_a_number_names_the_order_whatever_else_is_sent() -> None:
    case = resting()
    said = case.ask(
        "POST", "order/cancelReplace", **wish(case, cancelOrderId=1, cancelOrigClientOrderId="NJ-no")
    )
    assert said["cancelResponse"]["origClientOrderId"] == OLD


@pytest.mark.parametrize(
    ("only", "is_filled", "is_canceled"),
    [
        ("ONLY_NEW", False, True),
        ("ONLY_NEW", True, False),
        ("ONLY_PARTIALLY_FILLED", False, False),
        ("ONLY_PARTIALLY_FILLED", True, True),
    ],
)
def test_a_cancel_may_be_restricted_to_orders_that_have_or_have_not_filled(
    only: str, is_filled: bool, is_canceled: bool
) -> None:
    case = resting(trade(1, 98, 105))
    case.to(2 if is_filled else 0.5)
    assert case.state(OLD)["status"] == ("PARTIALLY_FILLED" if is_filled else "NEW")
    one = {"symbol": "BTCUSDT", "origClientOrderId": OLD, "cancelRestrictions": only}
    if is_canceled:
        assert case.ask("DELETE", "order", **one)["status"] == "CANCELED"
    else:
        words = "Order was not canceled due to cancel restrictions."
        assert case.refused("DELETE", "order", **one) == (-2011, words)


def test_a_symbol_tells_that_its_orders_can_be_replaced() -> None:
    (symbol,) = Case().keyed("GET", "exchangeInfo")["symbols"]
    assert symbol["cancelReplaceAllowed"] is True


def test_the_websocket_api_replaces_as_rest_does() -> None:
    case = resting()
    case.subscribe()
    done = case.call("order.cancelReplace", **wish(case))
    assert (done["status"], done["result"]["newOrderResponse"]["clientOrderId"]) == (200, NEW)
    assert [limit["rateLimitType"] for limit in done["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
    failed = case.call("order.cancelReplace", **wish(case))
    assert (failed["status"], failed["error"]["code"]) == (400, -2022)
    assert failed["error"]["data"]["cancelResponse"] == UNKNOWN


def test_answers_of_the_websocket_api_leave_the_limits_out_on_request() -> None:
    case = Case()
    case.subscribe()
    assert "rateLimits" not in case.call("account.status", returnRateLimits="false")
    assert "rateLimits" in case.call("v3/account.status")
    case.exchange.opened(2, "/ws-api/v3", "returnRateLimits=false", "127.0.0.1", case.now_ns)
    assert "rateLimits" not in case.call("account.status", connection=2)
    assert "rateLimits" in case.call("account.status", connection=2, returnRateLimits="true")
