"""The user stream and the WebSocket API: who hears what, in which order and wrapping, and when a stream ends."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.wire import Frame
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import KEY, OTHER_KEY, OTHER_SECRET, Case, Json, trade

ALICE_UID = 1


# --- what is said ---


def test_a_placed_and_canceled_order_is_reported_with_every_field() -> None:
    case = Case()
    case.subscribe()
    case.to(1)
    case.place(price="98", quantity="2", newClientOrderId="NJ-x")
    opened, balances = case.events()
    ms = case.now_ns // NS_PER_MS
    assert opened == {
        "e": "executionReport", "E": ms, "s": "BTCUSDT", "c": "NJ-x", "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "2.00000000", "p": "98.00000000", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "NEW",
        "X": "NEW", "r": "NONE", "i": 1, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None,
        "T": ms, "t": -1, "I": 1, "w": True, "m": False, "M": False, "O": ms, "Z": "0.00000000", "Y": "0.00000000",
        "Q": "0.00000000", "V": "EXPIRE_MAKER", "W": ms,
    }  # fmt: skip
    assert balances == {
        "e": "outboundAccountPosition",
        "E": ms,
        "u": ms,
        "B": [{"a": "USDT", "f": "9804.00000000", "l": "196.00000000"}],
    }
    case.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="NJ-x", newClientOrderId="CX-1")
    ended, balances = case.events()
    assert (ended["c"], ended["C"], ended["x"], ended["X"], ended["w"]) == (
        "CX-1",
        "NJ-x",
        "CANCELED",
        "CANCELED",
        False,
    )
    assert balances["B"] == [{"a": "USDT", "f": "10000.00000000", "l": "0.00000000"}]


def test_each_fill_is_a_report_with_its_trade_and_then_the_balances() -> None:
    case = Case(trade(5, 99, 60), taker_bps=Decimal(10), maker_bps=Decimal(-1))
    case.subscribe()
    case.place(quantity="6", newClientOrderId="taker")
    case.place(price="99", newClientOrderId="maker")
    case.to(5)
    said = [
        (
            event["c"],
            event["x"],
            event["X"],
            event["t"],
            event["l"],
            event["z"],
            event["L"],
            event["n"],
            event["N"],
        )
        for event in case.events()
        if event["e"] == "executionReport"
    ]
    nothing = ("0.00000000", "0.00000000", "0.00000000", "0", None)
    assert said == [
        ("taker", "NEW", "NEW", -1, *nothing),
        (
            "taker",
            "TRADE",
            "PARTIALLY_FILLED",
            1,
            "5.00000000",
            "5.00000000",
            "101.00000000",
            "0.00500000",
            "BTC",
        ),
        ("taker", "TRADE", "FILLED", 2, "1.00000000", "6.00000000", "102.00000000", "0.00100000", "BTC"),
        ("maker", "NEW", "NEW", -1, *nothing),
        ("maker", "TRADE", "FILLED", 3, "1.00000000", "1.00000000", "99.00000000", "-0.00010000", "BTC"),
    ]


def test_the_last_told_balances_are_those_of_the_account() -> None:
    case = Case(trade(5, 99, 60), taker_bps=Decimal(10))
    case.subscribe()
    case.place(quantity="6")
    case.place(price="99")
    case.to(5)
    told = {
        each["a"]: (each["f"], each["l"])
        for event in case.events()
        if event["e"] == "outboundAccountPosition"
        for each in event["B"]
    }
    balances = case.ask("GET", "account")["balances"]
    assert told == {each["asset"]: (each["free"], each["locked"]) for each in balances}


def test_what_could_not_fill_expires() -> None:
    case = Case()
    case.subscribe()
    case.place(price="101", quantity="8", timeInForce="IOC", newClientOrderId="ioc")
    case.place(price="98", newClientOrderId="gtc")
    case.exchange.operator.cancel_by_venue("alice", "gtc")
    assert case.reports() == [
        ("ioc", "NEW", "NEW"),
        ("ioc", "TRADE", "PARTIALLY_FILLED"),
        ("ioc", "EXPIRED", "EXPIRED"),
        ("gtc", "NEW", "NEW"),
        ("gtc", "EXPIRED", "EXPIRED"),
    ]


def test_a_trigger_is_reported_as_the_order_beginning_to_work() -> None:
    case = Case(trade(5, 104, 1, buys=True))
    case.subscribe()
    case.place(side="SELL", type="TAKE_PROFIT_LIMIT", price="106", stopPrice="104", newClientOrderId="p")
    case.to(5)
    said = [
        (event["x"], event["w"], event["P"], event.get("W"))
        for event in case.events()
        if event["e"] == "executionReport"
    ]
    ms = case.now_ns // NS_PER_MS
    assert said == [("NEW", False, "104.00000000", None), ("NEW", True, "104.00000000", ms)]


def test_a_refusal_is_reported_only_where_the_exchange_says_so() -> None:
    silent, telling = Case(), Case(tells_rejections=True)
    for case in (silent, telling):
        case.subscribe()
        case.refuse(quantity="200", price="99", newClientOrderId="poor")
        case.refuse(type="LIMIT_MAKER", price="101", newClientOrderId="maker")
    assert silent.events() == []
    said = [(event["c"], event["x"], event["X"], event["r"]) for event in telling.events()]
    assert said == [
        ("poor", "REJECTED", "REJECTED", "INSUFFICIENT_BALANCES"),
        ("maker", "REJECTED", "REJECTED", "WOULD_MATCH_IMMEDIATELY"),
    ]


def test_transfers_are_told_with_their_amount_and_the_balance() -> None:
    case = Case()
    case.subscribe()
    case.exchange.operator.withdraw("alice", "USDT", Decimal("0.5"))
    moved, balances = case.events()
    ms = case.now_ns // NS_PER_MS
    assert moved == {"e": "balanceUpdate", "E": ms, "a": "USDT", "d": "-0.50000000", "T": ms}
    assert balances["B"] == [{"a": "USDT", "f": "9999.50000000", "l": "0.00000000"}]


def test_an_account_hears_nothing_of_another() -> None:
    case = Case()
    case.subscribe()
    case.place(key=OTHER_KEY, secret=OTHER_SECRET, price="99")
    assert case.events() == []


# --- listen keys ---


def _key(case: Case) -> str:
    listen_key: str = case.keyed("POST", "userDataStream")["listenKey"]
    return listen_key


@pytest.mark.parametrize("path", ["/ws/{}", "/stream/ws/{}", "/ws/btcusdt@trade/{}"])
def test_a_listen_key_in_the_path_brings_the_accounts_events(path: str) -> None:
    case = Case()
    assert case.exchange.opened(5, path.format(_key(case)), "", "127.0.0.1", case.now_ns)
    case.place(price="98")
    assert [event["e"] for event in case.texts(5)] == ["executionReport", "outboundAccountPosition"]


def test_a_combined_stream_names_the_key_with_each_event() -> None:
    case = Case()
    key = _key(case)
    assert case.exchange.opened(5, "/stream", f"streams=btcusdt@trade/{key}", "127.0.0.1", case.now_ns)
    case.place(price="98")
    assert [(text["stream"], text["data"]["e"]) for text in case.texts(5)] == [
        (key, "executionReport"),
        (key, "outboundAccountPosition"),
    ]


@pytest.mark.parametrize("path", ["/ws", "/stream"])
def test_an_open_stream_subscribes_to_a_listen_key_as_to_a_stream_and_leaves_it(path: str) -> None:
    case = Case()
    key, is_combined = _key(case), path == "/stream"

    def say(method: str, *names: str) -> Any:
        case.to((case.now_ns - START_NS) / NS_PER_S + 1)
        message = {"method": method, "params": names, "id": 1}
        case.exchange.said(5, msgspec.json.encode(message).decode(), case.now_ns)
        (answer,) = case.texts(5)
        return answer.get("result", answer.get("error"))

    case.exchange.opened(5, path, "", "127.0.0.1", case.now_ns)
    assert say("SUBSCRIBE", key, "no-key")["code"] == 2
    case.place(price="98")
    assert case.texts(5) == []
    assert say("SUBSCRIBE", key) is say("SUBSCRIBE", key) is None
    assert say("LIST_SUBSCRIPTIONS") == [key]
    case.place(price="98")
    told = case.texts(5)
    assert [(each["data"] if is_combined else each)["e"] for each in told] == [
        "executionReport",
        "outboundAccountPosition",
    ]
    assert say("UNSUBSCRIBE", key) is None
    case.place(price="98")
    assert case.texts(5) == []


def test_a_listen_key_in_the_path_and_subscribed_to_tells_each_event_once() -> None:
    case = Case()
    key = _key(case)
    case.exchange.opened(5, f"/ws/{key}", "", "127.0.0.1", case.now_ns)
    case.exchange.said(5, f'{{"method":"SUBSCRIBE","params":["{key}"],"id":1}}', case.now_ns)
    case.place(price="98")
    assert len(case.texts(5)) == 1 + 2  # The answer, the order and the balances.


def test_a_listen_key_lives_an_hour_from_its_last_sign_of_life() -> None:
    case = Case()
    key = _key(case)
    case.exchange.opened(5, f"/ws/{key}", "", "127.0.0.1", case.now_ns)
    case.to(3000)
    assert _key(case) == key  # The same, which prolongs it.
    case.to(6000)
    assert case.keyed("PUT", "userDataStream", listenKey=key) == {}
    case.to(9599)
    assert case.texts(5) == []
    case.to(9600)
    ms = case.now_ns // NS_PER_MS
    assert case.texts(5) == [{"e": "listenKeyExpired", "E": ms, "listenKey": key}]
    case.place(price="98")
    assert case.texts(5) == []
    assert case.keyed("PUT", "userDataStream", listenKey=key)["code"] == -1125
    assert _key(case) != key


def test_a_listen_key_that_is_given_back_closes_its_streams() -> None:
    case = Case()
    key = _key(case)
    case.exchange.opened(5, f"/ws/{key}", "", "127.0.0.1", case.now_ns)
    assert case.keyed("DELETE", "userDataStream", key=OTHER_KEY, listenKey=key)["code"] == -1125
    assert case.keyed("DELETE", "userDataStream", listenKey=key) == {}
    assert case.texts(5) == [None]


def test_a_listen_key_asks_for_a_key_alone() -> None:
    case = Case()
    assert case.keyed("POST", "userDataStream", key="")["code"] == -2014
    case.exchange.operator.revoke_key(KEY)
    assert case.keyed("POST", "userDataStream")["code"] == -2015


# --- subscriptions, and ends ---


def test_a_subscription_is_answered_before_its_events_and_numbered() -> None:
    case = Case()
    answer = case.subscribe()
    assert (answer["status"], answer["result"]) == (200, {"subscriptionId": 0})
    assert answer["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    assert case.call("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 1}
    case.place(price="98")
    assert [text["subscriptionId"] for text in case.texts()] == [0, 1, 0, 1]


def test_what_happened_before_a_call_is_told_before_its_answer() -> None:
    case = Case()
    case.subscribe()
    case.exchange.operator.deposit("alice", "BTC", Decimal(1))
    _say(case, '{"id":8,"method":"ping"}')
    case.exchange.operator.deposit("alice", "BTC", Decimal(1))
    said = [text.get("event", {}).get("e", text.get("id")) for text in case.texts()]
    assert said == ["balanceUpdate", "outboundAccountPosition", 8, "balanceUpdate", "outboundAccountPosition"]


def test_an_unsubscribed_connection_hears_nothing() -> None:
    case = Case()
    case.subscribe()
    _say(case, '{"id":8,"method":"userDataStream.unsubscribe","params":{"subscriptionId":0}}')
    assert case.texts() == [{"id": 8, "status": 200, "result": {}, "rateLimits": []}]
    case.place(price="98")
    assert case.texts() == []


def test_early_expiry_ends_keys_and_subscriptions() -> None:
    case = Case()
    case.subscribe()
    key = _key(case)
    case.exchange.opened(5, f"/ws/{key}", "", "127.0.0.1", case.now_ns)
    case.exchange.operator.expire_listen_keys()
    ms = case.now_ns // NS_PER_MS
    frames = {frame.connection: msgspec.json.decode(frame.text or "") for frame in case.exchange.frames()}
    assert frames[1] == {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": ms}}
    assert frames[5]["e"] == "listenKeyExpired"
    case.place(price="98")
    assert case.exchange.frames() == []


def test_a_revoked_key_closes_its_streams_and_no_others() -> None:
    case = Case()
    case.subscribe()
    other = case.keyed("POST", "userDataStream", key=OTHER_KEY)["listenKey"]
    case.exchange.opened(5, f"/ws/{other}", "", "127.0.0.1", case.now_ns)
    case.exchange.operator.revoke_key(KEY)
    assert case.exchange.frames() == [Frame(1, None, 1001)]


def test_dropped_streams_say_nothing_more() -> None:
    case = Case()
    case.subscribe()
    case.exchange.opened(5, "/ws/btcusdt@trade", "", "127.0.0.1", case.now_ns)
    case.place(price="98")
    case.exchange.operator.drop_streams()
    frames = case.exchange.frames()
    assert [frame.connection for frame in frames if frame.text is None] == [1, 5]
    assert [frame.text is None for frame in frames if frame.connection == 1] == [False, False, True]
    case.place(price="97")
    assert case.exchange.frames() == []


def test_every_connection_is_closed_after_a_day() -> None:
    case = Case()
    case.exchange.opened(5, "/ws/btcusdt@trade", "", "127.0.0.1", case.now_ns)
    case.to(86_399)
    assert case.texts(5) == []
    assert case.exchange.next_ns == case.now_ns + 1_000_000_000
    case.to(86_400)
    assert case.texts(5) == [None]
    case.exchange.closed(5, case.now_ns)


def test_what_is_no_stream_is_turned_away() -> None:
    case = Case()
    assert not case.exchange.opened(5, "/nowhere", "", "127.0.0.1", case.now_ns)
    case.exchange.said(5, "{}", case.now_ns)
    assert case.exchange.frames() == []


# --- the WebSocket API ---


def _say(case: Case, text: str) -> None:
    case.exchange.said(1, text, case.now_ns)


def test_orders_go_over_the_websocket_api_as_over_rest() -> None:
    case = Case()
    case.subscribe()
    case.to(1)
    answer = case.call("order.place", **case.order(price="98", newClientOrderId="NJ-ws"))
    assert (answer["status"], answer["result"]["status"]) == (200, "NEW")
    assert [limit["rateLimitType"] for limit in answer["rateLimits"]] == [
        "ORDERS",
        "ORDERS",
        "REQUEST_WEIGHT",
    ]
    assert [event["event"]["e"] for event in case.caused] == ["executionReport", "outboundAccountPosition"]
    one: Json = {"symbol": "BTCUSDT", "origClientOrderId": "NJ-ws"}
    assert case.call("order.status", **one)["result"] == case.state("NJ-ws")
    assert case.call("openOrders.status")["result"][0]["clientOrderId"] == "NJ-ws"
    assert case.call("order.cancel", **one)["result"]["status"] == "CANCELED"
    refused = case.call("order.cancel", **one)
    assert (refused["status"], refused["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert case.call("account.status")["result"]["uid"] == ALICE_UID
    assert case.call("myTrades", symbol="BTCUSDT")["result"] == []
    assert case.call("order.test", **case.order(price="98"))["result"] == {}


def test_the_websocket_api_refuses_a_wrong_signature_and_an_old_time() -> None:
    case = Case()
    case.to(60)
    case.exchange.opened(1, "/ws-api/v3", "", "127.0.0.1", case.now_ns)
    _say(
        case,
        '{"id":1,"method":"userDataStream.subscribe.signature",'
        f'"params":{{"apiKey":"{KEY}","timestamp":{case.now_ns // NS_PER_MS},"signature":"00"}}}}',
    )
    (said,) = case.texts()
    assert (said["status"], said["error"]["code"]) == (400, -1022)
    assert case.call("account.status", timestamp=case.now_ns // NS_PER_MS - 6000)["error"]["code"] == -1021


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ('{"id":"a","method":"ping"}', 200, {}),
        ('{"id":"a","method":"ticker.price","params":{"symbol":"BTCUSDT"}}', 200, None),
        ('{"id":"a","method":"fly"}', 400, {"code": -1000, "msg": "Unknown method."}),
        ("{", 400, {"code": -1000, "msg": "Malformed JSON message."}),
        ('["id"]', 400, {"code": -1000, "msg": "Malformed JSON message."}),
    ],
)
def test_the_websocket_api_answers_whatever_it_is_told(text: str, status: int, expected: Any) -> None:
    case = Case()
    case.exchange.opened(1, "/ws-api/v3", "", "127.0.0.1", case.now_ns)
    _say(case, text)
    (said,) = case.texts()
    assert said["status"] == status
    if expected is not None:
        assert said["result" if status == 200 else "error"] == expected


def test_listen_keys_can_be_had_over_the_websocket_api() -> None:
    case = Case()
    case.exchange.opened(1, "/ws-api/v3", "", "127.0.0.1", case.now_ns)
    _say(case, f'{{"id":"a","method":"userDataStream.start","params":{{"apiKey":"{KEY}"}}}}')
    (said,) = case.texts()
    assert said["result"] == {"listenKey": _key(case)}
