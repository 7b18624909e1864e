"""What the public REST endpoints answer, by hand on a small market; CCXT as the reader is in tests/integration."""

from typing import Any

import msgspec
import pytest

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.errors import ApiError
from njord.exchange.options import ExchangeOptions
from njord.exchange.public import PublicApi
from njord.exchange.rules import Rules
from njord.exchange.wire import Request
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import BTC, Row, change, market, trade

START_MS = START_NS // NS_PER_MS
ROWS = [
    trade(1, 101, 2, buys=True, trade_id=5),
    trade(1, 101, 3, buys=True, trade_id=6),
    change(2, [(99, 40)]),
    trade(70, 98, 4, trade_id=7),
]


class Api:
    """The endpoints of a market that has come to a time."""

    def __init__(self, *rows: list[Row], at_s: float = 100) -> None:
        subject = market(*rows)
        self.rules = Rules(subject.instruments)
        self.now_ns = START_NS + round(at_s * NS_PER_S)
        subject.advance(self.now_ns)
        self.public = PublicApi(subject, self.rules, ExchangeOptions())

    def get(self, name: str, query: str = "", key: str = "") -> Any:
        request = Request(method="GET", path=f"/api/v3/{name}", query=query, headers={"x-mbx-apikey": key})
        assert self.public.handles(request)
        return msgspec.json.decode(self.public.answer(request, self.now_ns).body)

    def refusal(self, name: str, query: str = "") -> int:
        with pytest.raises(ApiError) as caught:
            self.get(name, query)
        return caught.value.code


def test_the_clock_that_is_shown_may_be_wrong() -> None:
    api = Api()
    request = Request(method="GET", path="/api/v3/time")
    for offset_ns in (0, -7 * NS_PER_S):
        said = msgspec.json.decode(api.public.answer(request, api.now_ns, offset_ns).body)
        assert said == {"serverTime": (api.now_ns + offset_ns) // NS_PER_MS}


def test_exchange_info_tells_the_rules_in_force() -> None:
    api = Api()
    api.rules.change("BTCUSDT", tick=BTC.tick_size * 5)
    api.rules.of("BTCUSDT").status = "BREAK"
    (symbol,) = api.get("exchangeInfo")["symbols"]
    filters = {each["filterType"]: each for each in symbol["filters"]}
    assert (symbol["symbol"], symbol["baseAsset"], symbol["quoteAsset"], symbol["status"]) == (
        "BTCUSDT", "BTC", "USDT", "BREAK",
    )  # fmt: skip
    assert filters["PRICE_FILTER"]["tickSize"] == "5.00000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.10000000"
    assert filters["NOTIONAL"]["minNotional"] == filters["MIN_NOTIONAL"]["minNotional"] == "20.00000000"
    assert "STOP_LOSS_LIMIT" in symbol["orderTypes"]
    assert "STOP_LOSS" not in symbol["orderTypes"]
    assert symbol["allowedSelfTradePreventionModes"] == ["EXPIRE_MAKER"]  # As orders say it.
    assert api.get("exchangeInfo", "symbols=%5B%22BTCUSDT%22%5D")["symbols"] == [symbol]


def test_depth_is_cut_to_its_limit_and_carries_the_books_id() -> None:
    api = Api(*ROWS)
    assert api.get("depth", "symbol=BTCUSDT&limit=1") == {
        "lastUpdateId": 2002,
        "bids": [["99.00000000", "4.00000000"]],
        "asks": [["101.00000000", "5.00000000"]],
    }


def test_trades_are_the_latest_and_history_needs_a_key_and_goes_on_from_an_id() -> None:
    api = Api(*ROWS)
    assert [each["id"] for each in api.get("trades", "symbol=BTCUSDT&limit=2")] == [6, 7]
    assert [each["id"] for each in api.get("historicalTrades", "symbol=BTCUSDT&fromId=5&limit=2", "k")] == [
        5,
        6,
    ]
    assert api.refusal("historicalTrades", "symbol=BTCUSDT") == -2014
    assert api.get("trades", "symbol=BTCUSDT&limit=1") == [
        {
            "id": 7, "price": "98.00000000", "qty": "0.40000000", "quoteQty": "39.20000000", "time": START_MS + 70_000,
            "isBuyerMaker": True, "isBestMatch": True,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [1, 2, 3]),
        ("&limit=1", [3]),
        ("&fromId=2", [2, 3]),
        (f"&startTime={START_MS}&endTime={START_MS + 1000}", [1, 2]),
        (f"&startTime={START_MS + 1}", [2, 3]),
        (f"&endTime={START_MS + 999}", [1]),
    ],
)
def test_aggregate_trades_are_found_by_id_and_by_time(query: str, ids: list[int]) -> None:
    api = Api(*ROWS)
    got = api.get("aggTrades", f"symbol=BTCUSDT{query}")
    assert [each["a"] for each in got] == ids
    assert all(each["q"] == "0.50000000" for each in got if each["a"] == 2)


def test_klines_are_the_last_ones_or_those_from_a_time_on() -> None:
    api = Api(*ROWS)
    minutes = api.get("klines", "symbol=BTCUSDT&interval=1m")
    assert [(row[1], row[4], row[5], row[8]) for row in minutes] == [
        ("100.00000000", "101.00000000", "0.60000000", 3),
        ("98.00000000", "98.00000000", "0.40000000", 1),
    ]
    assert api.get("klines", "symbol=BTCUSDT&interval=1m&limit=1") == minutes[-1:]
    assert api.get("klines", f"symbol=BTCUSDT&interval=1m&startTime={minutes[1][0]}&limit=1") == minutes[1:2]
    assert api.get("klines", f"symbol=BTCUSDT&interval=1m&endTime={minutes[1][0] - 1}") == minutes[:1]
    (hour,) = api.get("klines", "symbol=BTCUSDT&interval=1h")
    assert hour[1:6] == ["100.00000000", "101.00000000", "98.00000000", "98.00000000", "1.00000000"]
    assert hour[7] == "99.70000000"  # 0.1 x 100 + 0.5 x 101 + 0.4 x 98.


def test_tickers_are_one_object_for_one_symbol_and_a_list_for_all() -> None:
    api = Api(*ROWS)
    day = api.get("ticker/24hr", "symbol=BTCUSDT")
    assert (day["openPrice"], day["lastPrice"], day["priceChange"], day["count"]) == (
        "100.00000000", "98.00000000", "-2.00000000", 4,
    )  # fmt: skip
    assert api.get("ticker/24hr") == [day]
    assert api.get("ticker/price", "symbol=BTCUSDT") == {"symbol": "BTCUSDT", "price": "98.00000000"}
    assert api.get("ticker/bookTicker", "symbols=%5B%22BTCUSDT%22%5D")[0]["bidQty"] == "4.00000000"
    assert "bidPrice" not in api.get("ticker/24hr", "symbol=BTCUSDT&type=MINI")
    assert api.get("avgPrice", "symbol=BTCUSDT")["price"] == "99.70000000"


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("depth", "", -1102),
        ("depth", "symbol=NOPE", -1121),
        ("depth", "symbol=btcusdt", -1100),
        ("depth", "symbol=BTCUSDT&limit=x", -1100),
        ("depth", "symbol=BTCUSDT&limit=0", -1130),
        ("depth", "symbol=BTCUSDT&limit=", -1105),
        ("depth", "symbol=BTCUSDT&symbol=BTCUSDT", -1101),
        ("depth", "symbol=BTCUSDT&color=red", -1104),
        ("klines", "symbol=BTCUSDT", -1102),
        ("klines", "symbol=BTCUSDT&interval=7m", -1120),
        ("aggTrades", "symbol=BTCUSDT&fromId=1&startTime=1", -1128),
        ("ticker/price", "symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", -1128),
        ("ticker/price", "symbols=BTCUSDT", -1100),
    ],
)
def test_what_can_not_be_asked_is_refused_with_the_venues_code(name: str, query: str, code: int) -> None:
    assert Api(*ROWS).refusal(name, query) == code


def test_a_market_without_trades_answers_all_the_same() -> None:
    api = Api(at_s=-1)
    assert api.get("trades", "symbol=BTCUSDT") == []
    assert api.get("klines", "symbol=BTCUSDT&interval=1m") == []
    assert api.get("ticker/24hr", "symbol=BTCUSDT")["count"] == 0
    assert api.get("avgPrice", "symbol=BTCUSDT")["price"] == "0.00000000"
