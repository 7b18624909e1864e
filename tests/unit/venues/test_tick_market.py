"""The rules of the tick market, one at a time: a market, an order, and what it gets."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import pytest

from njord.core.errors import ConfigError, DataError
from njord.core.types import OrderReason, TimeInForce
from njord.venues.tick_market import ENDED, FILLED, TRIGGERED, Happening, MarketRows, TickMarket, TickOrder

BID, ASK, BUY, SELL, CLEAR = 1, 2, 3, 4, 5
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
BOOK = [(BID, 100, 10), (BID, 99, 20), (ASK, 102, 10), (ASK, 103, 20)]


class Market:
    """A tick market whose rows are given as it goes; each row is one nanosecond later."""

    def __init__(self, rows: list[tuple[int, int, int]] = BOOK, partial: bool = True, model: str = "risk_averse") -> None:  # fmt: skip
        self._rows: list[tuple[int, int, int]] = []
        self._ns = count(1)
        self.market = TickMarket(self, queue_model=model, partial_fills=partial)
        self._numbers = count(1)
        assert self(*rows) == []

    def __iter__(self) -> Iterator[MarketRows]:
        return self

    def __next__(self) -> MarketRows:
        if not self._rows:
            raise StopIteration  # For now.
        columns = np.array([(kind, next(self._ns), *level) for kind, *level in self._rows], np.int64)
        self._rows = []
        return MarketRows(*columns.reshape(-1, 4).T)

    def __call__(self, *rows: tuple[int, int, int]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for row in rows:
            self._rows = [row]
            found += told(self.market.advance(self.market.now_ns + 1))
        return found

    def add(self, sign: int, lots: int, limit: int = 0, **terms: object) -> list[tuple[object, ...]]:
        order = {"number": next(self._numbers), "sign": sign, "remaining_lots": lots, "limit_ticks": limit}
        return told(self.market.add(TickOrder(**{**order, **terms})))  # type: ignore[arg-type]  # By name, as a test says it.


def told(happened: list[Happening]) -> list[tuple[object, ...]]:
    return [
        (each.what, each.number, each.price_ticks, each.qty_lots, "maker" if each.is_maker else "taker")
        if each.what is FILLED
        else (each.what, each.number, each.reason or each.price_ticks)
        for each in happened
    ]


# --- taking ---


def test_a_market_order_sweeps_levels_and_they_are_gone_until_the_feed_sets_them() -> None:
    market = Market()
    assert market.add(1, 15) == [(FILLED, 1, 102, 10, "taker"), (FILLED, 1, 103, 5, "taker")]
    assert market.market.best_ask_ticks == 103
    assert market.add(1, 20) == [(FILLED, 2, 103, 15, "taker"), (ENDED, 2, OrderReason.NO_LIQUIDITY)]
    assert market((ASK, 103, 4)) == []
    assert market.add(1, 4) == [(FILLED, 3, 103, 4, "taker")]


def test_without_partial_fills_a_taker_gets_all_at_the_best_level_which_stays() -> None:
    market = Market(partial=False)
    assert market.add(-1, 500) == [(FILLED, 1, 100, 500, "taker")]
    assert market.market.best_bid_ticks == 100


def test_a_limit_takes_up_to_its_price_and_rests_with_what_is_left() -> None:
    market = Market()
    assert market.add(1, 12, 102) == [(FILLED, 1, 102, 10, "taker")]
    assert market.market.n_orders == 1
    assert market((SELL, 101, 1)) == [(FILLED, 1, 102, 2, "maker")]


@pytest.mark.parametrize(
    ("terms", "limit", "expected"),
    [
        ({"tif": IOC}, 102, [(FILLED, 1, 102, 10, "taker"), (ENDED, 1, OrderReason.IOC_REMAINDER)]),
        ({"tif": IOC}, 101, [(ENDED, 1, OrderReason.IOC_REMAINDER)]),
        ({"tif": FOK}, 102, [(ENDED, 1, OrderReason.FOK_UNFILLED)]),
        ({"tif": FOK}, 103, [(FILLED, 1, 102, 10, "taker"), (FILLED, 1, 103, 2, "taker")]),
        ({"tif": FOK}, 0, [(FILLED, 1, 102, 10, "taker"), (FILLED, 1, 103, 2, "taker")]),
        ({"post_only": True}, 102, [(ENDED, 1, OrderReason.POST_ONLY_WOULD_TAKE)]),
        ({"post_only": True}, 101, []),
    ],
)
def test_terms_that_end_an_order_at_its_arrival(
    terms: dict[str, object], limit: int, expected: list[tuple[object, ...]]
) -> None:
    assert Market().add(1, 12, limit, **terms) == expected


# --- making ---


def test_a_trade_eats_the_lots_ahead_and_then_ours() -> None:
    market = Market()
    market.add(1, 5, 100)
    assert market((SELL, 100, 8)) == []
    assert market((SELL, 100, 4)) == [(FILLED, 1, 100, 2, "maker")]
    assert market((SELL, 100, 9)) == [(FILLED, 1, 100, 3, "maker")]


def test_without_partial_fills_the_first_lot_that_reaches_us_fills_all() -> None:
    market = Market(partial=False)
    market.add(1, 50, 100)
    assert market((SELL, 100, 10)) == []
    assert market((SELL, 100, 1)) == [(FILLED, 1, 100, 50, "maker")]


def test_a_trade_through_our_price_or_a_crossing_book_fills_all() -> None:
    for row in ((SELL, 99, 1), (ASK, 100, 1), (ASK, 98, 1)):
        market = Market()
        market.add(1, 50, 100)
        assert market(row) == [(FILLED, 1, 100, 50, "maker")]


def test_a_buying_trade_at_our_bid_does_not_fill_it() -> None:
    market = Market()
    market.add(1, 5, 101)
    assert market((BUY, 101, 100)) == []
    assert market((SELL, 101, 100)) == [(FILLED, 1, 101, 5, "maker")]


def test_a_shrinking_level_moves_us_by_the_model() -> None:
    for model, lots in (("risk_averse", 0), ("probability", 1)):
        market = Market(model=model)
        market.add(1, 5, 99)  # 20 ahead.
        assert market((BID, 99, 40), (BID, 99, 20), (BID, 100, 0)) == []  # 20 join behind, 20 cancel.
        assert sum(int(str(each[3])) for each in market((SELL, 99, 11))) == lots


def test_a_fill_tells_the_queue_at_arrival_and_before_it() -> None:
    market = Market()
    market.add(1, 5, 100)
    market((SELL, 100, 7))
    market._rows = [(SELL, 100, 100)]
    (fill,) = market.market.advance(market.market.now_ns + 1)
    assert (fill.queue_at_arrival, fill.queue_at_fill, fill.ts_ns) == (10, 3, 6)


def test_our_own_orders_at_one_price_fill_in_their_order_and_share_a_trade() -> None:
    market = Market([(BID, 99, 1), (ASK, 102, 1)])
    market.add(1, 3, 100)
    market.add(1, 3, 101)
    market.add(1, 3, 100)
    assert market((SELL, 101, 2)) == [(FILLED, 2, 101, 2, "maker")]
    assert market((SELL, 100, 4)) == [
        (FILLED, 2, 101, 1, "maker"),
        (FILLED, 1, 100, 3, "maker"),
        (FILLED, 3, 100, 1, "maker"),
    ]


def test_after_a_snapshot_no_more_are_ahead_than_the_level_shows() -> None:
    market = Market()
    market.add(1, 5, 100)
    assert market((CLEAR, 0, 0), (BID, 100, 3), (ASK, 102, 1), (SELL, 100, 3)) == []
    assert market((SELL, 100, 1)) == [(FILLED, 1, 100, 1, "maker")]


def test_what_was_traded_at_a_level_is_no_cancel() -> None:
    market = Market(partial=False, model="probability")
    market.add(1, 5, 100)  # 10 ahead.
    assert market((BID, 100, 20), (SELL, 100, 4), (BID, 100, 16), (SELL, 100, 6)) == []
    assert market((SELL, 100, 1)) == [(FILLED, 1, 100, 5, "maker")]


def test_no_estimate_lets_a_later_order_of_ours_overtake_an_earlier_one() -> None:
    market = Market([(BID, 100, 5), (ASK, 102, 5)], model="probability")
    market.add(1, 5, 100)  # 5 ahead, 0.5 after the cancels.
    market((BID, 100, 8))
    market.add(1, 5, 100)  # 8 ahead, and by itself below 0 after them.
    assert market((BID, 100, 10), (BID, 100, 1), (SELL, 100, 1)) == []


def test_an_order_that_joins_while_the_book_is_empty_stands_behind_ours() -> None:
    market = Market()
    market.add(1, 5, 100)  # 10 ahead.
    market((CLEAR, 0, 0))
    market.add(1, 5, 100)
    assert market((SELL, 100, 12)) == [(FILLED, 1, 100, 2, "maker")]


def test_a_level_that_meets_the_other_side_removes_it() -> None:
    market = Market()
    assert market((ASK, 100, 1)) == []
    assert (market.market.best_bid_ticks, market.market.best_ask_ticks) == (99, 100)
    assert market((BID, 102, 1)) == []
    assert (market.market.best_bid_ticks, market.market.best_ask_ticks) == (102, 103)


# --- triggers ---


def test_a_stop_wakes_at_the_first_trade_at_or_beyond_its_trigger() -> None:
    market = Market()
    assert market.add(-1, 5, trigger_ticks=100) == []
    assert market((BUY, 102, 1), (SELL, 101, 1)) == []
    assert market((SELL, 100, 1)) == [(TRIGGERED, 1, 100), (FILLED, 1, 100, 5, "taker")]


def test_a_triggered_order_never_pays_less_than_the_trade_that_woke_it() -> None:
    market = Market()
    market.add(-1, 5, trigger_ticks=100)
    assert market((SELL, 97, 1)) == [(TRIGGERED, 1, 97), (FILLED, 1, 97, 5, "taker")]


def test_a_stop_limit_rests_where_its_limit_is_not_there_any_more() -> None:
    market = Market()
    market.add(-1, 5, 99, trigger_ticks=100)
    assert market((SELL, 97, 1)) == [(TRIGGERED, 1, 97)]
    assert market((BUY, 100, 1)) == [(FILLED, 1, 99, 5, "maker")]


def test_a_take_profit_waits_for_the_better_price() -> None:
    market = Market()
    market.add(-1, 5, trigger_ticks=105, is_take_profit=True)
    assert market((SELL, 90, 1), (BUY, 104, 1)) == []
    assert market((BUY, 105, 1)) == [(TRIGGERED, 1, 105), (FILLED, 1, 100, 5, "taker")]


def test_a_trailing_stop_follows_the_trades() -> None:
    market = Market([*BOOK, (BUY, 102, 1)])
    assert market.add(-1, 5, trail_ticks=3) == []
    assert market((SELL, 100, 1), (BUY, 104, 1)) == []
    assert market((SELL, 101, 1)) == [(TRIGGERED, 1, 101), (FILLED, 1, 100, 5, "taker")]


def test_a_trigger_that_is_reached_already_wakes_at_the_arrival() -> None:
    market = Market([*BOOK, (BUY, 102, 1)])
    assert market.add(1, 5, trigger_ticks=101) == [(TRIGGERED, 1, 102), (FILLED, 1, 102, 5, "taker")]
    terms: dict[str, object] = {"trigger_ticks": 101, "post_only": True}
    assert market.add(1, 5, 103, **terms) == [
        (TRIGGERED, 2, 102),
        (ENDED, 2, OrderReason.POST_ONLY_WOULD_TAKE),
    ]


# --- trades alone ---


def test_without_a_book_a_market_order_fills_at_the_next_trade() -> None:
    market = Market([(BUY, 102, 3)])
    assert market.add(1, 5) == []
    assert market((SELL, 105, 3)) == [(FILLED, 1, 105, 3, "taker")]
    assert market((BUY, 104, 9)) == [(FILLED, 1, 104, 2, "taker")]


def test_without_a_book_a_marketable_limit_takes_the_next_trade_within_it_and_then_rests() -> None:
    market = Market([(BUY, 102, 3)])
    assert market.add(1, 5, 103) == []
    assert market((SELL, 101, 3)) == [(FILLED, 1, 101, 3, "taker")]
    assert market((SELL, 103, 50)) == []
    assert market((SELL, 102, 1)) == [(FILLED, 1, 103, 2, "maker")]


def test_without_a_book_a_resting_order_fills_only_when_a_trade_goes_through_it() -> None:
    for partial in (True, False):
        market = Market([(BUY, 102, 3)], partial=partial)
        assert market.add(1, 5, 100) == []
        assert market((SELL, 100, 1_000)) == []
        assert market((SELL, 99, 1)) == [(FILLED, 1, 100, 5, "maker")]


def test_without_a_book_terms_hold_at_the_next_trade() -> None:
    market = Market([(BUY, 102, 3)])
    market.add(1, 5, tif=FOK)
    market.add(1, 5, 102, tif=IOC)
    assert market.add(1, 5, 102, post_only=True) == [(ENDED, 3, OrderReason.POST_ONLY_WOULD_TAKE)]
    assert market.add(1, 5, 101, tif=IOC) == [(ENDED, 4, OrderReason.IOC_REMAINDER)]
    assert market((SELL, 102, 4)) == [
        (ENDED, 1, OrderReason.FOK_UNFILLED),
        (FILLED, 2, 102, 4, "taker"),
        (ENDED, 2, OrderReason.IOC_REMAINDER),
    ]


# --- changes ---


def test_fewer_lots_keep_the_place_and_more_lose_it() -> None:
    market = Market([(BID, 100, 2), (ASK, 102, 1)])
    market.add(1, 5, 100)
    market.add(1, 5, 100)
    assert market.market.amend(1, remaining_lots=4)
    assert market((SELL, 100, 3)) == [(FILLED, 1, 100, 1, "maker")]
    assert market.market.amend(
        1, remaining_lots=6
    )  # Behind the two lots of the level once more, and the other order.
    assert market((SELL, 100, 8)) == [(FILLED, 2, 100, 5, "maker"), (FILLED, 1, 100, 1, "maker")]


def test_an_amended_price_arrives_anew_and_what_it_takes_is_told_next() -> None:
    market = Market()
    market.add(1, 5, 100)
    assert market.market.amend(1, limit_ticks=102)
    assert told(market.market.advance(market.market.now_ns)) == [(FILLED, 1, 102, 5, "taker")]
    assert not market.market.amend(1, limit_ticks=103)


def test_an_amendment_that_a_kind_of_order_does_not_have_is_refused_and_changes_nothing() -> None:
    market = Market()
    market.add(1, 5, 101, post_only=True)
    market.add(-1, 5, trigger_ticks=90)
    assert not market.market.amend(1, limit_ticks=102)
    assert not market.market.amend(1, trigger_ticks=102)
    assert not market.market.amend(2, limit_ticks=102)
    assert market.market.amend(2, trigger_ticks=95)
    assert market((SELL, 101, 1)) == [(FILLED, 1, 101, 1, "maker")]
    assert market((SELL, 95, 1)) == [
        (FILLED, 1, 101, 4, "maker"),
        (TRIGGERED, 2, 95),
        (FILLED, 2, 95, 5, "taker"),
    ]


def test_a_withdrawn_order_is_gone_and_a_shrunk_one_keeps_its_place() -> None:
    market = Market([(BID, 99, 1), (ASK, 102, 1)])
    market.add(1, 5, 100)
    market.add(1, 5, 100)
    market.add(1, 5, 100)
    assert market.market.shrink(1, 3) == 2
    assert market.market.withdraw(2) == 5
    assert market((SELL, 100, 3)) == [(FILLED, 1, 100, 2, "maker"), (FILLED, 3, 100, 1, "maker")]


# --- rows ---


def rows(*each: tuple[int, int, int, int]) -> MarketRows:
    return MarketRows(*np.array(each, np.int64).T)


def test_time_goes_on_without_rows_and_stops_at_what_happens() -> None:
    blocks = [rows((BID, 5, 100, 1)), rows((SELL, 7, 99, 1), (SELL, 9, 98, 1))]
    market = TickMarket(iter(blocks), queue_model="risk_averse", partial_fills=True)
    assert (market.now_ns, market.has_book, market.last_ticks) == (0, False, 0)
    assert market.advance(6) == []
    assert (market.now_ns, market.has_book, market.best_bid_ticks) == (6, True, 100)
    market.add(TickOrder(number=1, sign=1, remaining_lots=1, limit_ticks=100))
    (fill,) = market.advance(100)
    assert (fill.ts_ns, market.now_ns, market.last_ticks) == (7, 7, 99)
    assert market.advance(100) == []
    assert (market.now_ns, market.last_ticks) == (100, 98)


@pytest.mark.parametrize(
    "bad",
    [(0, 5, 1, 1), (6, 5, 1, 1), (BID, 4, 1, 1), (ASK, 5, 0, 1), (BID, 5, 2**62, 1), (BID, 5, 1, -1), (BUY, 5, 1, 0)],
)  # fmt: skip
def test_an_impossible_row_is_named(bad: tuple[int, int, int, int]) -> None:
    for blocks in ([rows((BID, 5, 1, 1), bad)], [rows((BID, 5, 1, 1)), rows(bad)]):
        market = TickMarket(iter(blocks), queue_model="risk_averse", partial_fills=True)
        with pytest.raises(DataError) as raised:
            market.advance(100)
        assert ", ".join(map(str, bad)) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_an_unknown_queue_model_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="risk_averse, probability"):
        TickMarket(iter([]), queue_model="lifo", partial_fills=True)
