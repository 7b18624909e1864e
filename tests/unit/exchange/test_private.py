"""Signed REST: who may ask, what is refused with which code, what is counted, and what the answers say."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from njord.core.errors import ConfigError
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.errors import ApiError
from njord.exchange.exchange import ExchangeOptions
from njord.exchange.market import PublicMarket
from njord.exchange.options import AccountSpec
from njord.exchange.params import Params
from njord.exchange.rules import Rules
from njord.exchange.signing import http_payload, signature, ws_payload
from njord.exchange.trading import Trading
from njord.exchange.wire import Request
from tests.unit.exchange.exchange_case import BTC, KEY, OTHER_KEY, OTHER_SECRET, Case, market, trade

# The examples of the venue's public documents.
DOCS_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
DOCS_QUERY = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
DOCS_FORM = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"


def _request(query: str, body: str) -> Request:
    return Request(method="POST", path="/api/v3/order", query=query, body=body)


def test_signatures_are_those_of_the_venues_documents() -> None:
    whole = http_payload(_request("", f"{DOCS_QUERY}&{DOCS_FORM}&signature=abc"))
    parted = http_payload(_request(DOCS_QUERY, f"{DOCS_FORM}&signature=abc"))
    assert signature(DOCS_SECRET, whole) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert (
        signature(DOCS_SECRET, parted) == "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    )


def test_messages_are_signed_over_their_parameters_by_name() -> None:
    assert ws_payload({"symbol": "B", "apiKey": "k", "signature": "x", "timestamp": "1"}) == (
        "apiKey=k&symbol=B&timestamp=1"
    )


# --- who asks ---


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"key": ""}, -2014),
        ({"key": "no-key"}, -2014),
        ({"key": "unknownkey"}, -2015),
        ({"secret": "wrong"}, -1022),
        ({"key": OTHER_KEY}, -1022),
        ({"signature": "0" * 64}, -1101),
        ({"timestamp": None}, -1102),
        ({"timestamp": ""}, -1105),
        ({"timestamp": "soon"}, -1100),
        ({"recvWindow": "60001"}, -1131),
        ({"color": "red"}, -1104),
    ],
)
def test_a_request_that_is_not_right_is_refused_before_it_does_anything(
    given: dict[str, Any], code: int
) -> None:
    case = Case()
    assert case.refuse(**given)[0] == code
    assert case.ask("GET", "openOrders") == []


@pytest.mark.parametrize(("ms_off", "is_taken"), [(-5000, True), (-5001, False), (999, True), (1000, False)])
def test_a_timestamp_must_lie_in_the_window_and_not_a_second_ahead(ms_off: int, is_taken: bool) -> None:
    case = Case()
    case.to(10)
    response = case.send("GET", "account", timestamp=case.now_ns // NS_PER_MS + ms_off)
    assert (response.status == 200) is is_taken
    if not is_taken:
        said = msgspec.json.decode(response.body)
        assert said["code"] == -1021
        assert ("ahead of the server's time" in said["msg"]) is (ms_off > 0)


def test_a_narrow_window_refuses_what_a_wide_one_takes() -> None:
    case = Case()
    case.to(10)
    late = case.now_ns // NS_PER_MS - 100
    assert case.refused("GET", "account", timestamp=late, recvWindow=99)[0] == -1021
    assert case.ask("GET", "account", timestamp=late, recvWindow=100)["uid"] == 1


def test_the_clock_of_the_exchange_decides_and_is_shown() -> None:
    case = Case()
    case.exchange.operator.set_clock_offset_ns(7_000_000_000)
    assert case.refused("GET", "account")[0] == -1021
    time = case.keyed("GET", "time")["serverTime"]
    assert time == case.now_ns // NS_PER_MS + 7000
    assert case.ask("GET", "account", timestamp=time)["canTrade"]
    case.exchange.operator.set_clock_offset_ns(-7_000_000_000)
    assert case.refused("GET", "account")[0] == -1021


def test_a_revoked_key_may_nothing_and_a_restricted_one_may_read() -> None:
    case = Case()
    case.exchange.operator.forbid_trading(KEY)
    assert case.refuse()[0] == -2015
    assert case.refused("DELETE", "order", symbol="BTCUSDT", orderId=1)[0] == -2015
    assert case.ask("GET", "account")["canTrade"] is False
    case.exchange.operator.revoke_key(KEY)
    response = case.send("GET", "account")
    assert (response.status, msgspec.json.decode(response.body)["code"]) == (401, -2015)
    case.exchange.operator.restore_key(KEY)
    assert case.place()["status"] == "FILLED"


# --- what is refused ---

LIMIT = {"price": "99"}
STOP = {"type": "STOP_LOSS_LIMIT", "price": "105", "stopPrice": "104"}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"symbol": None}, -1102, "symbol"),
        ({"symbol": "btc/usdt"}, -1100, "symbol"),
        ({"symbol": "XRPUSDT"}, -1121, "Invalid symbol"),
        ({"side": None}, -1102, "side"),
        ({"side": "HOLD"}, -1117, "side"),
        ({"type": "TRAILING"}, -1116, "orderType"),
        ({"type": "STOP_LOSS", "stopPrice": "105"}, -2010, "not supported"),
        ({**LIMIT, "timeInForce": "GTD"}, -1115, "timeInForce"),
        ({**LIMIT, "timeInForce": None}, -1102, "timeInForce"),
        ({**LIMIT, "quantity": None}, -1102, "quantity"),
        ({"type": "LIMIT"}, -1102, "price"),
        ({"type": "MARKET", "price": "99"}, -1106, "price"),
        ({"type": "LIMIT_MAKER", "price": "99", "timeInForce": "GTC"}, -1106, "timeInForce"),
        ({**LIMIT, "quoteOrderQty": "100", "quantity": "1"}, -1106, "quoteOrderQty"),
        ({"quoteOrderQty": "100", "quantity": "1"}, -1128, "Combination"),
        ({"quantity": None}, -1102, "quantity"),
        ({"quantity": "-1"}, -1100, "quantity"),
        ({"quantity": "1e3"}, -1100, "quantity"),
        ({"quantity": "1\n"}, -1100, "quantity"),
        ({"quantity": "0.123456789"}, -1111, "Precision"),
        ({"quantity": "0.05"}, -1013, "LOT_SIZE"),
        ({"quantity": "1.15"}, -1013, "LOT_SIZE"),
        ({"quantity": "0"}, -1013, "LOT_SIZE"),
        ({"quantity": "9000001"}, -1013, "MARKET_LOT_SIZE"),
        ({**LIMIT, "quantity": "9000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "99.5"}, -1013, "PRICE_FILTER"),
        ({"price": "0"}, -1013, "PRICE_FILTER"),
        ({**LIMIT, "quantity": "0.2"}, -1013, "NOTIONAL"),
        ({"quantity": "0.1"}, -1013, "NOTIONAL"),
        ({"quoteOrderQty": "19"}, -1013, "NOTIONAL"),
        ({**LIMIT, "quantity": "102"}, -2010, "insufficient balance"),
        ({"side": "SELL", "quantity": "10.1"}, -2010, "insufficient balance"),
        ({"side": "SELL", "price": "110", "quantity": "10.1"}, -2010, "insufficient balance"),
        ({"type": "LIMIT_MAKER", "price": "101"}, -2010, "immediately match"),
        ({**STOP, "stopPrice": "100"}, -2010, "trigger immediately"),
        ({**STOP, "side": "SELL", "stopPrice": "100"}, -2010, "trigger immediately"),
        ({**STOP, "type": "TAKE_PROFIT_LIMIT"}, -2010, "trigger immediately"),
        ({"newClientOrderId": "with space"}, -1100, "newClientOrderId"),
        ({"newClientOrderId": "with-newline\n"}, -1100, "newClientOrderId"),
        ({"newClientOrderId": "x" * 37}, -1100, "newClientOrderId"),
        ({"newOrderRespType": "ALL"}, -1130, "newOrderRespType"),
    ],
)
def test_an_order_that_is_not_right_is_refused_with_the_dialects_code(
    given: dict[str, Any], code: int, words: str
) -> None:
    case = Case()
    before = case.ask("GET", "account")["balances"]
    refusal = case.refuse(**given)
    assert refusal[0] == code, refusal
    assert words in refusal[1]
    assert case.ask("GET", "allOrders", symbol="BTCUSDT") == []
    assert case.ask("GET", "account")["balances"] == before


def test_order_test_refuses_what_order_refuses_and_places_nothing() -> None:
    case = Case()
    assert case.ask("POST", "order/test", **case.order(price="99")) == {}
    assert case.refused("POST", "order/test", **case.order(price="99.5"))[0] == -1013
    assert case.ask("GET", "openOrders") == []


def test_filters_hold_new_orders_from_their_change_on() -> None:
    case = Case()
    case.exchange.operator.change_filters("BTCUSDT", tick=Decimal(5), lot=Decimal("0.5"))
    assert case.refuse(price="99")[1] == "Filter failure: PRICE_FILTER"
    assert case.refuse(price="95", quantity="0.7")[1] == "Filter failure: LOT_SIZE"
    assert case.place(price="95")["status"] == "NEW"
    assert case.place(quoteOrderQty="480")["executedQty"] == "4.50000000"
    lot_size = case.keyed("GET", "exchangeInfo")["symbols"][0]["filters"][1]
    assert (lot_size["minQty"], lot_size["stepSize"]) == ("0.50000000", "0.50000000")
    with pytest.raises(ConfigError, match=r"tick of BTCUSDT must be a multiple of 1, was 0\.5"):
        case.exchange.operator.change_filters("BTCUSDT", tick=Decimal("0.5"))


def test_a_limit_must_lie_in_its_sides_band_around_the_average_of_five_minutes() -> None:
    case = Case(trade(1, 60, 3), price_band=(Decimal("0.5"), Decimal("1.5")))
    assert case.refuse(price="49", quantity="1") == (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
    assert case.place(price="50", quantity="1")["status"] == "NEW"
    assert case.refuse(side="SELL", price="151", quantity="1")[1] == "Filter failure: PERCENT_PRICE_BY_SIDE"
    case.to(1)  # 1 lot at 100 and 3 at 60: 70 on average.
    assert case.refuse(price="34", quantity="1")[0] == -1013
    assert case.refuse(price="106", quantity="1")[0] == -1013
    assert case.place(price="35", quantity="1")["status"] == "NEW"
    case.to(400)  # Nothing traded for more than five minutes: the last price counts.
    assert case.refuse(price="95", quantity="1")[0] == -1013
    assert case.place(price="30", quantity="1")["status"] == "NEW"
    with pytest.raises(ApiError, match="PERCENT_PRICE_BY_SIDE"):
        case.exchange.operator.do(
            {"do": "place_by_hand", "account": "alice", "symbol": "BTCUSDT", "side": "buy", "type": "limit", "qty": "1", "price": "29"}
        )  # fmt: skip


def test_market_orders_have_a_most_of_their_own_that_may_change() -> None:
    case = Case()
    case.exchange.operator.change_filters("BTCUSDT", max_market_qty=Decimal(2))
    assert case.refuse(quantity="2.1") == (-1013, "Filter failure: MARKET_LOT_SIZE")
    assert case.place(quantity="2")["status"] == "FILLED"
    assert case.place(price="90", quantity="2.1")["status"] == "NEW"


@pytest.mark.parametrize(("most", "listed"), [("4", "4.00000000"), ("0", "9000000.00000000")])
def test_the_exchange_keeps_the_limits_that_the_instrument_names(most: str, listed: str) -> None:
    coin = msgspec.structs.replace(
        BTC, max_market_qty=Decimal(most), buy_band=(Decimal("0.9"), Decimal("1.1"))
    )
    rules = Rules([coin]).at(0)
    by_type = {each["filterType"]: each for each in rules.filters(ExchangeOptions())}
    assert by_type["MARKET_LOT_SIZE"]["maxQty"] == listed
    band = by_type["PERCENT_PRICE_BY_SIDE"]
    assert [band[f"{side}Multiplier{edge}"] for side in ("bid", "ask") for edge in ("Down", "Up")] == [
        "0.9",
        "1.1",
        "0.2",
        "5",
    ]


def test_exchange_info_lists_every_filter_that_is_kept() -> None:
    case = Case(max_open_orders=7, price_band=(Decimal("0.5"), Decimal(3)))
    case.exchange.operator.change_filters("BTCUSDT", max_market_qty=Decimal(2))
    listed = case.keyed("GET", "exchangeInfo")["symbols"][0]["filters"]
    by_type = {each.pop("filterType"): each for each in listed}
    assert by_type["MARKET_LOT_SIZE"]["maxQty"] == "2.00000000"
    assert by_type["MAX_NUM_ORDERS"] == {"maxNumOrders": 7}
    assert by_type["PERCENT_PRICE_BY_SIDE"] == {
        "bidMultiplierUp": "3",
        "bidMultiplierDown": "0.5",
        "askMultiplierUp": "3",
        "askMultiplierDown": "0.5",
        "avgPriceMins": 5,
    }


def test_no_more_orders_may_be_open_than_the_venue_allows() -> None:
    case = Case(max_open_orders=2)
    case.place(price="90")
    case.place(price="91")
    assert case.refuse(price="92") == (-1013, "Filter failure: MAX_NUM_ORDERS")


def test_what_is_not_served_is_not_found() -> None:
    response = Case().send("GET", "margin")
    assert response.status == 404


# --- what is counted ---


def test_weight_is_counted_and_refused_and_then_the_address_is_banned() -> None:
    case = Case(weight_per_minute=25, strikes_to_ban=2, ban_s=90)
    for used in ("10", "20"):
        assert case.send("GET", "account").headers["x-mbx-used-weight-1m"] == used
    response = case.send("GET", "account")
    assert (response.status, response.headers["retry-after"]) == (429, "60")
    response = case.send("POST", "order", **case.order())
    assert (response.status, msgspec.json.decode(response.body)["code"]) == (429, -1003)
    assert case.send("GET", "account").status == 418
    case.to(61)
    response = case.send("GET", "account")
    assert (response.status, response.headers["retry-after"]) == (418, "29")
    assert not case.exchange.opened(9, "/ws-api/v3", "", "127.0.0.1", case.now_ns)
    case.to(91)
    assert case.send("GET", "account").status == 200


def test_orders_beyond_the_rate_are_refused_until_the_next_window() -> None:
    case = Case(orders_per_10s=2)
    counts = [case.send("POST", "order", **case.order(price="90")).headers for _ in range(2)]
    assert [each["x-mbx-order-count-10s"] for each in counts] == ["1", "2"]
    response = case.send("POST", "order", **case.order(price="90"))
    assert response.status == 429
    assert msgspec.json.decode(response.body)["code"] == -1015
    assert int(response.headers["retry-after"]) <= 10
    case.to(10)
    case.place(price="90")
    limits = case.ask("GET", "rateLimit/order")
    assert [(each["interval"], each["count"]) for each in limits] == [("SECOND", 1), ("DAY", 3)]


def test_a_day_has_its_own_limit_of_orders() -> None:
    case = Case(orders_per_day=1)
    case.place(price="90")
    case.to(3600)
    assert case.refuse(price="90")[1] == "Too many new orders; current limit is 1 orders per 1 DAY."
    case.to(86_400)
    case.place(price="90")


# --- what the answers say ---


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"newOrderRespType": "ACK"}, {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}),
        (
            {"type": "LIMIT_MAKER", "price": "99"},
            {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"},
        ),
    ],
)
def test_an_acknowledgement_says_no_more_than_the_ids(given: dict[str, Any], fields: set[str]) -> None:
    assert set(Case().place(**given)) == fields


def test_a_result_has_no_fills_and_a_full_answer_adds_up() -> None:
    case = Case(taker_bps=Decimal(10))
    assert "fills" not in case.place(newOrderRespType="RESULT", price="90")
    full = case.place(quantity="6")
    assert [(fill["price"], fill["qty"]) for fill in full["fills"]] == [
        ("101.00000000", "5.00000000"),
        ("102.00000000", "1.00000000"),
    ]
    assert full["cummulativeQuoteQty"] == "607.00000000"
    assert [fill["commission"] for fill in full["fills"]] == ["0.00500000", "0.00100000"]
    assert {fill["commissionAsset"] for fill in full["fills"]} == {"BTC"}


def test_an_order_without_an_id_gets_one_that_finds_it() -> None:
    case = Case()
    names = [case.place(price="90", newClientOrderId=None)["clientOrderId"] for _ in range(2)]
    assert len(set(names)) == 2
    assert case.state(names[1])["orderId"] == 2


def test_an_order_is_found_by_either_id_and_only_in_its_account_and_symbol() -> None:
    case = Case()
    order_id = case.place(price="90", newClientOrderId="NJ-x")["orderId"]
    assert case.state("NJ-x") == case.ask("GET", "order", symbol="BTCUSDT", orderId=order_id)
    assert (
        case.refused("GET", "order", symbol="BTCUSDT", orderId=order_id, origClientOrderId="NJ-y")[0] == -2013
    )
    assert case.refused("GET", "order", symbol="BTCUSDT", origClientOrderId="NJ-y")[0] == -2013
    assert case.refused("GET", "order", symbol="BTCUSDT")[0] == -1102
    other = {"key": OTHER_KEY, "secret": OTHER_SECRET}
    assert case.refused("GET", "order", symbol="BTCUSDT", origClientOrderId="NJ-x", **other)[0] == -2013
    assert case.refused("DELETE", "order", symbol="BTCUSDT", origClientOrderId="NJ-x", **other)[0] == -2011
    assert case.state("NJ-x")["status"] == "NEW"


def test_an_id_is_taken_while_its_order_is_open_and_then_names_the_latest() -> None:
    case = Case()
    first = case.place(price="90", newClientOrderId="NJ-x")
    assert case.refuse(price="91", newClientOrderId="NJ-x") == (-2010, "Duplicate order sent.")
    case.cancel("NJ-x")
    second = case.place(price="91", newClientOrderId="NJ-x")
    assert second["orderId"] > first["orderId"]
    assert case.state("NJ-x")["price"] == "91.00000000"
    first_again = case.ask("GET", "order", symbol="BTCUSDT", orderId=first["orderId"])
    assert first_again["status"] == "CANCELED"


def test_a_cancel_has_an_id_of_its_own_and_leaves_the_orders() -> None:
    case = Case()
    case.place(price="90", newClientOrderId="NJ-x")
    said = case.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="NJ-x", newClientOrderId="CX-1")
    assert (said["clientOrderId"], said["origClientOrderId"], said["status"]) == ("CX-1", "NJ-x", "CANCELED")
    assert case.state("NJ-x")["clientOrderId"] == "NJ-x"
    assert case.refused("DELETE", "order", symbol="BTCUSDT", origClientOrderId="NJ-x") == (
        -2011,
        "Unknown order sent.",
    )
    assert case.refused("DELETE", "order", symbol="BTCUSDT", origClientOrderId="NJ-none")[0] == -2011


def test_cancel_all_ends_every_open_order_of_the_symbol() -> None:
    case = Case()
    case.place(price="90")
    case.place(side="SELL", price="110")
    assert len(case.ask("GET", "openOrders", symbol="BTCUSDT")) == 2
    assert [each["status"] for each in case.ask("DELETE", "openOrders", symbol="BTCUSDT")] == ["CANCELED"] * 2
    assert case.ask("GET", "openOrders") == []
    assert case.refused("DELETE", "openOrders", symbol="BTCUSDT")[0] == -2011


def test_all_orders_are_listed_from_an_id_or_the_latest() -> None:
    case = Case()
    for price in ("90", "91", "92"):
        case.place(price=price)
    listed = [each["orderId"] for each in case.ask("GET", "allOrders", symbol="BTCUSDT", limit=2)]
    assert listed == [2, 3]
    listed = [each["orderId"] for each in case.ask("GET", "allOrders", symbol="BTCUSDT", orderId=1, limit=2)]
    assert listed == [1, 2]


def test_trades_are_listed_from_a_cursor_a_time_or_an_order() -> None:
    case = Case(trade(5, 100, 1))
    first = case.place(quantity="6")  # Two fills.
    case.to(6)
    case.place(side="SELL")

    def ids(**params: Any) -> list[int]:
        return [each["id"] for each in case.ask("GET", "myTrades", symbol="BTCUSDT", **params)]

    assert ids() == [1, 2, 3]
    assert ids(limit=1) == [3]
    assert ids(fromId=2) == [2, 3]
    assert ids(fromId=1, limit=2) == [1, 2]
    assert ids(fromId=4) == []
    assert ids(orderId=first["orderId"]) == [1, 2]
    assert ids(startTime=case.now_ns // NS_PER_MS) == [3]
    assert ids(endTime=case.now_ns // NS_PER_MS - 1) == [1, 2]
    assert case.refused("GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1)[0] == -1128
    assert case.refused("GET", "myTrades", symbol="BTCUSDT", startTime=1, endTime=86_400_002)[0] == -1127
    assert case.refused("GET", "myTrades")[0] == -1102


def test_an_account_tells_its_balances_and_when_they_changed() -> None:
    case = Case()
    case.to(5)
    case.place(price="90", quantity="2")
    said = case.ask("GET", "account", omitZeroBalances="true")
    assert said["updateTime"] == case.now_ns // NS_PER_MS
    assert said["balances"] == [
        {"asset": "BTC", "free": "10.00000000", "locked": "0.00000000"},
        {"asset": "USDT", "free": "9820.00000000", "locked": "180.00000000"},
    ]


def test_the_time_of_the_last_change_goes_back_with_the_clock_alone() -> None:
    case = Case(trade(3, 95, 100))
    case.place(price="96")
    case.now_ns += 5 * NS_PER_S  # It is asked before its market has come that far.
    case.place()
    now_ms = case.now_ns // NS_PER_MS
    assert case.ask("GET", "account")["updateTime"] == now_ms
    case.to(5)
    assert [trade.ts_ns for trade in case.alice.trades][-1] < case.now_ns
    assert case.ask("GET", "account")["updateTime"] == now_ms
    case.exchange.operator.set_clock_offset_ns(-7 * NS_PER_S)
    case.place(timestamp=now_ms - 7000)
    assert case.ask("GET", "account", timestamp=now_ms - 7000)["updateTime"] == now_ms - 7000


# --- set-up ---


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "alice", "key": "another"}, "a name of its own"),
        ({"name": "carol", "key": KEY}, "a key of its own"),
        ({"name": "carol", "key": "not-one"}, "letters and digits"),
        ({"name": "carol", "key": "another", "balances": {"BTC": Decimal(-1)}}, "must be >= 0"),
    ],
)
def test_accounts_that_can_not_be_are_refused(given: dict[str, Any], words: str) -> None:
    alice = AccountSpec(name="alice", key=KEY, secret="s")
    with pytest.raises(ConfigError, match=words):
        Trading(_market(), [alice, AccountSpec(secret="s", **given)], ExchangeOptions(), 0)


def test_options_that_can_not_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="orders_per_10s must be >= 1, was 0"):
        ExchangeOptions(orders_per_10s=0)
    with pytest.raises(ConfigError, match="taker_bps must be between"):
        ExchangeOptions(taker_bps=Decimal(10_000))


def test_an_account_does_not_show_its_secret() -> None:
    assert "topsecret" not in repr(AccountSpec(name="a", key="keykey", secret="topsecret"))


def test_a_parameter_of_no_use_is_named() -> None:
    with pytest.raises(ApiError, match="-1106 Parameter 'price' sent when not required"):
        Params({"price": "1"}).refuse("stopPrice", "price")


def _market() -> PublicMarket:
    return market()
