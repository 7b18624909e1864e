"""The truth ledger and the exchange's own paths: what really happened, whoever asks."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.errors import ConfigError
from njord.core.units import NS_PER_S
from njord.exchange.wire import Request
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import KEY, Case, trade


def _control(case: Case, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    text = "" if body is None else msgspec.json.encode(body).decode()
    response = case.exchange.request(Request(method=method, path=path, body=text), case.now_ns)
    return response.status, msgspec.json.decode(response.body)


def test_the_ledger_has_what_happened_with_exact_numbers() -> None:
    case = Case(trade(5, 99, 55), maker_bps=Decimal(10))
    case.place(price="99", quantity="2", newClientOrderId="NJ-a")
    case.to(5)
    case.cancel("NJ-a")
    case.refuse(price="99.5", newClientOrderId="NJ-b")
    case.exchange.operator.deposit("alice", "USDT", Decimal("0.10"))
    truth = case.exchange.truth()
    assert truth["now_ns"] == case.now_ns
    alice = truth["accounts"]["alice"]
    end_ns = START_NS + 5 * NS_PER_S
    assert alice["balances"] == {
        "BTC": {"free": "10.4995", "locked": "0"},
        "USDT": {"free": "9950.6", "locked": "0"},
    }
    assert alice["orders"] == [
        {
            "client_order_id": "NJ-a", "order_id": 1, "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT",
            "time_in_force": "GTC", "price": "99", "orig_qty": "2", "executed_qty": "0.5", "status": "CANCELED",
            "placed_ns": START_NS, "ended_ns": end_ns,
        }
    ]  # fmt: skip
    assert alice["trades"] == [
        {
            "trade_id": 1, "order_id": 1, "client_order_id": "NJ-a", "symbol": "BTCUSDT", "side": "BUY", "price": "99",
            "qty": "0.5", "quote_qty": "49.5", "commission": "0.0005", "commission_asset": "BTC", "is_maker": True,
            "ts_ns": end_ns,
        }
    ]  # fmt: skip
    assert alice["transfers"] == [{"asset": "USDT", "amount": "0.1", "ts_ns": end_ns}]
    asked = [
        (each["method"], each["path"], each["client_order_id"], each["status"], each["code"])
        for each in alice["requests"]
    ]
    assert asked == [
        ("POST", "/api/v3/order", "NJ-a", 200, 0),
        ("DELETE", "/api/v3/order", "NJ-a", 200, 0),
        ("POST", "/api/v3/order", "NJ-b", 400, -1013),
    ]
    assert truth["accounts"]["bob"]["orders"] == []


def test_the_ledger_is_served_without_key_or_weight() -> None:
    case = Case()
    case.exchange.operator.ban("127.0.0.1", 60)
    assert _control(case, "GET", "/njord/truth") == (200, case.exchange.truth())
    assert _control(case, "GET", "/njord/else")[0] == 404


def test_requests_over_websocket_and_refused_ones_are_in_the_ledger() -> None:
    case = Case()
    case.subscribe()
    case.call("order.place", **case.order(price="98", newClientOrderId="NJ-w"))
    case.exchange.operator.revoke_key(KEY)
    case.send("GET", "account")
    case.send("GET", "account", key="unknownkey")
    asked = [
        (each["method"], each["path"], each["client_order_id"], each["code"])
        for each in case.exchange.truth()["accounts"]["alice"]["requests"]
    ]
    assert asked == [
        ("WS", "userDataStream.subscribe.signature", "", 0),
        ("POST", "/api/v3/order", "NJ-w", 0),
        ("GET", "/api/v3/account", "", -2015),
    ]


def test_every_line_goes_to_the_sink_as_it_happens() -> None:
    case = Case(trade(5, 99, 55))
    lines: list[bytes] = []
    case.exchange.truth_ledger.sink = lines.append
    case.place(price="99", quantity="2", newClientOrderId="NJ-a")
    case.to(5)
    case.cancel("NJ-a")
    case.exchange.operator.deposit("alice", "BTC", Decimal(1))
    said = [msgspec.json.decode(line) for line in lines]
    assert [(each["what"], each.get("status"), each.get("qty")) for each in said] == [
        ("order", "NEW", None),
        ("request", 200, None),
        ("trade", None, "0.5"),
        ("order", "CANCELED", None),
        ("request", 200, None),
        ("transfer", None, None),
    ]
    assert {each["account"] for each in said} == {"alice"}
    assert all(line.endswith(b"\n") for line in lines)


# --- the operator, over HTTP ---


@pytest.mark.parametrize(
    "body",
    [
        {"do": "deposit", "account": "alice", "asset": "USDT", "qty": "5"},
        {"do": "withdraw", "account": "alice", "asset": "USDT", "qty": 5},
        {
            "do": "place_by_hand",
            "account": "alice",
            "symbol": "BTCUSDT",
            "side": "buy",
            "type": "market",
            "qty": "1",
        },
        {"do": "cancel_by_venue", "account": "alice", "client_order_id": "NJ-none"},
        {"do": "halt", "symbol": "BTCUSDT"},
        {"do": "resume", "symbol": "BTCUSDT"},
        {"do": "change_filters", "symbol": "BTCUSDT", "tick": "5"},
        {"do": "revoke_key", "key": KEY},
        {"do": "forbid_trading", "key": KEY},
        {"do": "restore_key", "key": KEY},
        {"do": "set_clock_offset_ns", "offset_ns": 5},
        {"do": "expire_listen_keys"},
        {"do": "drop_streams"},
        {"do": "ban", "address": "10.0.0.1", "seconds": 5},
        {"do": "charge_fees_in", "account": "alice", "asset": "BNB"},
    ],
)
def test_every_deed_can_be_asked_for_over_http(body: dict[str, Any]) -> None:
    assert _control(Case(), "POST", "/njord/operator", body) == (200, {})


def test_deeds_over_http_are_done() -> None:
    case = Case()
    _control(
        case, "POST", "/njord/operator", {"do": "withdraw", "account": "alice", "asset": "USDT", "qty": "0.5"}
    )
    assert case.free("USDT") == Decimal("9999.5")
    hand = {
        "account": "alice",
        "symbol": "BTCUSDT",
        "side": "sell",
        "type": "limit",
        "qty": "1",
        "price": "110",
    }
    _control(case, "POST", "/njord/operator", {"do": "place_by_hand", **hand})
    assert case.locked("BTC") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"do": "fly"}, "do must be one of place_by_hand"),
        ({"account": "alice"}, "do must be one of"),
        (
            {"do": "deposit", "account": "carol", "asset": "BTC", "qty": "1"},
            "account must be one of alice, bob",
        ),
        ({"do": "deposit", "account": "alice", "asset": "BTC"}, "the arguments of deposit are not right"),
        ({"do": "deposit", "account": "alice", "asset": "BTC", "qty": "much"}, "are not right"),
        (
            {"do": "deposit", "account": "alice", "asset": "BTC", "qty": "NaN"},
            "qty of deposit must be a finite number",
        ),
        ({"do": "halt", "symbol": "BTCUSDT", "color": "red"}, "are not right"),
        ({"do": "halt", "symbol": "XRPUSDT"}, "Invalid symbol"),
        ({"do": "withdraw", "account": "alice", "asset": "BTC", "qty": "11"}, "insufficient balance"),
        (
            {"do": "change_filters", "symbol": "BTCUSDT", "lot": "0.03"},
            "lot of BTCUSDT must be a multiple of 0.1",
        ),
        ([], "Expected `object`"),
    ],
)
def test_a_deed_that_is_not_right_is_refused_in_one_line(body: Any, words: str) -> None:
    status, said = _control(Case(), "POST", "/njord/operator", body)
    assert status == 400
    assert words in said["msg"]
    assert "\n" not in said["msg"]


def test_an_unknown_account_is_named() -> None:
    with pytest.raises(ConfigError, match="was 'carol'"):
        Case().exchange.operator.deposit("carol", "BTC", Decimal(1))
