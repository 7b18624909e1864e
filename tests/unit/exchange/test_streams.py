"""What the market streams say: who subscribes is told, in the venue's words, no more and no less."""

from typing import Any

import msgspec
import pytest

from njord.core.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_S
from njord.exchange.market import PublicMarket
from njord.exchange.stream_names import wish_of
from njord.exchange.streams import MAX_STREAMS, MarketStreams
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import Row, change, market, trade

Json = dict[str, Any]


class Listener:
    """Market streams, and what one connection hears."""

    def __init__(
        self, path: str, *rows: list[Row], query: str = "", subject: PublicMarket | None = None
    ) -> None:
        self.streams = MarketStreams(subject or market(*rows))
        self.is_open = self.streams.opened(1, path, query, START_NS)
        self.now_ns = START_NS

    def until(self, at_s: float) -> list[Json]:
        self.now_ns = START_NS + round(at_s * NS_PER_S)
        self.streams.advance(self.now_ns)
        return self.heard()

    def heard(self) -> list[Json]:
        frames = self.streams.take_frames()
        assert all(frame.connection == 1 for frame in frames)
        return [msgspec.json.decode(frame.text) for frame in frames if frame.text is not None]

    def ask(self, method: str, *params: object, call_id: object = 1) -> Json:
        self.now_ns += NS_PER_S
        self.streams.said(
            1, msgspec.json.encode({"method": method, "params": params, "id": call_id}).decode(), self.now_ns
        )
        (answer,) = self.heard()
        return answer


# --- what is told ---


def test_a_trade_is_told_in_the_venues_words() -> None:
    listener = Listener("/ws/btcusdt@trade", trade(1, 101, 3, buys=True, trade_id=9))
    assert listener.until(0)[0]["t"] == 1
    at_ms = (START_NS + NS_PER_S) // NS_PER_MS
    assert listener.until(2) == [
        {
            "e": "trade", "E": at_ms, "s": "BTCUSDT", "t": 9, "p": "101.00000000", "q": "0.30000000", "T": at_ms, "m": False,
            "M": True,
        }
    ]  # fmt: skip


def test_a_book_kept_from_rest_and_the_changes_is_the_markets_book() -> None:
    changes = [change(n, [(99, n), (98 - n, 5)], [(101, 0 if n % 2 else 4)]) for n in range(1, 6)]
    listener = Listener("/ws/btcusdt@depth@100ms", *changes)
    listener.until(2.5)
    subject = listener.streams._market
    view = subject.book(0)
    sides = {"b": dict(view.bids), "a": dict(view.asks)}
    for told in listener.until(9):
        assert told["e"] == "depthUpdate"
        assert told["u"] > view.last_update_id
        for side, levels in sides.items():
            levels.update({int(float(price)): round(float(qty) * 10) for price, qty in told[side]})
            sides[side] = {price: lots for price, lots in levels.items() if lots}
    view = subject.book(0)
    assert sides == {"b": dict(view.bids), "a": dict(view.asks)}


def test_slow_depth_joins_the_changes_of_a_second_and_a_partial_book_comes_whole() -> None:
    rows = [change(0.2, [(97, 1)]), change(0.4, [(97, 2)], [(101, 0)]), change(1.5, [(97, 0)])]
    slow, partial = Listener("/ws/btcusdt@depth", *rows), Listener("/ws/btcusdt@depth5", *rows)
    told = slow.until(2)
    assert [(each["U"], each["u"], each["b"][-1], len(each["a"])) for each in told] == [
        (2, 402, ["97.00000000", "0.20000000"], 2),
        (1502, 1502, ["97.00000000", "0.00000000"], 0),
    ]
    first, second = partial.until(2)
    assert [level[0] for level in first["bids"]] == ["99.00000000", "98.00000000", "97.00000000"]
    assert (first["lastUpdateId"], second["lastUpdateId"]) == (402, 1502)
    assert len(second["bids"]) == 2


def test_a_bar_is_told_when_it_changes_and_closed_once_at_its_end_traded_or_not() -> None:
    begin_s = 60  # START_NS begins a minute.
    rows = [trade(begin_s + 1.5, 103, 2, trade_id=8), trade(begin_s + 1.7, 99, 2, trade_id=9)]
    listener = Listener("/ws/btcusdt@kline_1m", *rows)
    listener.until(begin_s - 0.5)
    told = [each["k"] for each in listener.until(begin_s + 125)]
    assert [(bar["n"], bar["o"], bar["c"], bar["x"]) for bar in told] == [
        (1, "100.00000000", "100.00000000", True),
        (0, "100.00000000", "100.00000000", False),
        (2, "103.00000000", "99.00000000", False),
        (2, "103.00000000", "99.00000000", True),
        (0, "99.00000000", "99.00000000", False),
        (0, "99.00000000", "99.00000000", True),
        (0, "99.00000000", "99.00000000", False),
    ]
    assert told[2]["T"] - told[2]["t"] == 59_999


def test_a_closed_bar_holds_nothing_of_what_came_after_it_however_far_the_time_jumps() -> None:
    rows = [trade(each, 100 + each, 1, trade_id=each + 2) for each in range(1, 130)]
    jumping, walking = Listener("/ws/btcusdt@kline_1m", *rows), Listener("/ws/btcusdt@kline_1m", *rows)
    walked = [told for second in range(1, 140) for told in walking.until(second)]
    assert jumping.until(139) == walked


def test_tickers_are_told_every_second_once_there_was_a_trade() -> None:
    listener = Listener("/ws/btcusdt@ticker", trade(1.5, 110, 2, trade_id=8))
    first, second = listener.until(2)
    assert (first["e"], first["c"], second["c"], second["o"], second["P"]) == (
        "24hrTicker", "100.00000000", "110.00000000", "100.00000000", "10.000",
    )  # fmt: skip
    (mini,) = Listener("/ws/btcusdt@miniTicker").until(1)
    assert (mini["e"], mini["v"]) == ("24hrMiniTicker", "0.10000000")


def test_the_best_quote_names_no_event() -> None:
    told = Listener("/ws/btcusdt@bookTicker").until(0)
    assert told == [
        {
            "u": 2,
            "s": "BTCUSDT",
            "b": "99.00000000",
            "B": "5.00000000",
            "a": "101.00000000",
            "A": "5.00000000",
        }
    ]


def test_combined_streams_are_wrapped_with_their_names() -> None:
    listener = Listener("/stream", query="streams=btcusdt@trade/btcusdt@bookTicker")
    assert [(told["stream"], "u" in told["data"]) for told in listener.until(0)] == [
        ("btcusdt@bookTicker", True),
        ("btcusdt@trade", False),
    ]


# --- who is told ---


def test_ccxts_path_carries_a_number_and_says_nothing_until_it_subscribes() -> None:
    listener = Listener("/stream/ws/0", trade(5, 101, 1, trade_id=9))
    assert listener.until(1) == []
    assert listener.ask("SUBSCRIBE", "btcusdt@trade") == {"result": None, "id": 1}
    assert listener.ask("LIST_SUBSCRIPTIONS", call_id="x") == {"result": ["btcusdt@trade"], "id": "x"}
    assert [told["t"] for told in listener.until(6)] == [9]
    assert listener.ask("UNSUBSCRIBE", "btcusdt@trade") == {"result": None, "id": 1}
    assert listener.ask("LIST_SUBSCRIPTIONS") == {"result": [], "id": 1}


def test_one_listeners_leaving_takes_nothing_from_another() -> None:
    listener = Listener("/ws/btcusdt@miniTicker")
    listener.streams.opened(2, "/ws/btcusdt@miniTicker", "", START_NS)
    listener.streams.closed(2)
    assert listener.until(1)[0]["s"] == "BTCUSDT"
    listener.streams.closed(1)
    assert listener.until(5) == []
    assert listener.streams.next_ns > START_NS + NS_PER_MINUTE  # Nothing is left to tick for.


def test_a_path_that_is_none_of_market_streams_is_turned_away() -> None:
    assert not Listener("/ws-api/v3").is_open
    assert not Listener("/").is_open
    assert Listener("/ws").is_open


def test_a_symbol_that_is_not_listed_may_be_subscribed_to_and_is_silent() -> None:
    listener = Listener("/ws", trade(1, 101, 1, trade_id=9))
    assert listener.ask("SUBSCRIBE", "nopeusdt@trade", "nopeusdt@ticker") == {"result": None, "id": 1}
    assert listener.until(5) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 3),
        ('{"params":["btcusdt@trade"],"id":1}', 2),
        ('{"method":"BUY","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@everything"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",3],"id":1}', 1),
        ('{"method":"GET_PROPERTY","params":["color"],"id":1}', 0),
    ],
)
def test_a_message_that_can_not_be_is_refused_and_the_connection_lives(text: str, code: int) -> None:
    listener = Listener("/ws")
    listener.streams.said(1, text, START_NS)
    (answer,) = listener.heard()
    assert answer["error"]["code"] == code
    assert listener.ask("SUBSCRIBE", "btcusdt@trade")["result"] is None


def test_events_are_wrapped_on_request() -> None:
    listener = Listener("/ws/btcusdt@trade")
    assert listener.ask("GET_PROPERTY", "combined")["result"] is False
    assert listener.ask("SET_PROPERTY", "combined", True)["result"] is None
    assert [told["stream"] for told in listener.until(0)] == ["btcusdt@trade"]


def test_the_sixth_message_of_a_second_closes_the_connection() -> None:
    listener = Listener("/ws")
    for n in range(6):
        listener.streams.said(1, '{"method":"LIST_SUBSCRIPTIONS","id":1}', START_NS + n)
    frames = listener.streams.take_frames()
    assert [frame.text is None for frame in frames] == [False] * 5 + [True]
    assert frames[-1].close_code == 1008


def test_no_connection_has_more_streams_than_the_venue_allows() -> None:
    listener = Listener("/ws")
    names = [f"s{n}usdt@trade" for n in range(MAX_STREAMS)]
    assert listener.ask("SUBSCRIBE", *names)["result"] is None
    assert listener.ask("SUBSCRIBE", "btcusdt@trade")["error"]["code"] == 2
    assert listener.ask("SUBSCRIBE", names[0])["result"] is None


def test_names_of_streams_are_lower_case_and_whole() -> None:
    assert wish_of("BTCUSDT@trade") is None
    assert wish_of("btcusdt@trades") is None
    assert wish_of("btcusdt@kline_7m") is None
    assert wish_of("btcusdt@depth15") is None
    assert wish_of("0") is None
