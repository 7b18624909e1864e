"""The venue on ticks by hand: what arrives when, what is known when, and the venue's rules on top of the real market."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderAck,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
)
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import FOREVER_NS, plain
from njord.venues.funding import INTERVAL_NS as FUNDING_NS
from njord.venues.funding import FundingSchedule
from njord.venues.latency import Latency
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import SelfTrade, VenueTerms
from njord.venues.tick_market import MarketRows, TickMarket
from tests.property.strategies import INTERVAL_NS, START_NS, bar
from tests.unit.venues.venue_case import BTC, PERP, canceled, ends, fills, lots, request, story, venue

BID, ASK, UP, DOWN = 1, 2, 3, 4  # Levels, and trades of a buying or selling aggressor.
SELL, STOP, TRAILING = Side.SELL, OrderType.STOP, OrderType.TRAILING_STOP
BOOK = [(BID, 1, 99, 50), (ASK, 1, 101, 50)]


def market(rows: Sequence[tuple[int, int, int, int]]) -> TickMarket:
    def blocks() -> Iterator[MarketRows]:
        yield MarketRows(*np.array(rows, dtype=np.int64).reshape(-1, 4).T.copy())

    return TickMarket(blocks(), queue_model="risk_averse", partial_fills=True)


def ticks(rows: Sequence[tuple[int, int, int, int]], **given: Any) -> SimulatedVenue:
    """Return a venue of one market of (kind, ts_ns, price, lots) rows."""
    values: dict[str, Any] = {"slippage": "0", "taker": "0", "maker": "0", **given}
    where = venue(values.pop("traded", PERP), **values)
    where.add_market(0, market(rows))
    return where


def order(name: str = "c1", ts_ns: int = 2, **given: Any) -> BrokerOrderReq:
    return request(name, ts_ns=ts_ns, **given)


def known(where: SimulatedVenue, until_ns: int) -> list[tuple[int, str]]:
    """Run to a time as a host does; return what became known, and when."""
    seen: list[tuple[int, str]] = []
    while True:
        where.advance(min(until_ns, where.next_report_ns))
        now_ns = where.next_report_ns
        if now_ns > min(until_ns, where.server_time()):
            if where.server_time() >= until_ns:
                return seen
            continue
        seen += [(now_ns, said) for said in told(where.take(now_ns))]


def told(reports: Sequence[Report]) -> list[str]:
    words = []
    for each in reports:
        if isinstance(each, BrokerLiquidation):
            words.append(f"liquidated {each.qty_lots} at {each.price_ticks}")
        elif isinstance(each, BrokerFunding):
            words.append(f"funding {plain(each.amount)}")
        else:
            words += story([each])
    return words


# --- without latency ---


def test_without_latency_the_venue_answers_at_once() -> None:
    where = ticks(BOOK)
    where.advance(2)
    assert isinstance(where.place(order()), BrokerOrderAck)
    assert where.next_report_ns == 2
    reports = where.take(2)
    assert fills(reports) == [("c1", 101, False)]
    assert ends(reports) == [("c1", OrderStatus.FILLED, OrderReason.NONE)]
    assert where.next_report_ns == FOREVER_NS and where.take(10) == []


def test_a_resting_order_makes_when_a_trade_comes_and_time_stops_there() -> None:
    where = ticks([*BOOK, (DOWN, 5, 98, 20), (DOWN, 9, 98, 20)])
    where.advance(2)
    where.place(order(limit=100))
    where.place(order("c2", limit=99, qty_lots=5))
    where.advance(100)
    assert where.server_time() == 5 and where.next_report_ns == 5
    assert fills(where.take(5)) == [("c1", 100, True), ("c2", 99, True)]
    assert where.queue_ahead == {"c1": 0, "c2": 50}
    where.advance(100)
    assert where.server_time() == 100


def test_where_trades_alone_are_known_takers_pay_the_slippage_and_never_beyond_their_limit() -> None:
    where = ticks([(UP, 1, 1000, 5), (UP, 5, 1000, 5)], slippage="100", cash="99999")
    where.advance(2)
    where.place(order(qty_lots=2))
    where.place(order("limited", limit=1005, qty_lots=2))
    where.advance(9)
    prices = {
        each.client_order_id: each.price_ticks for each in where.take(9) if isinstance(each, BrokerFill)
    }
    assert prices == {"c1": 1010, "limited": 1005}
    assert where.slippage_paid == 3


def test_what_can_not_be_paid_is_canceled_on_ticks_too() -> None:
    where = ticks([*BOOK, (UP, 3, 101, 1)], traded=BTC)
    where.advance(2)
    where.place(order(qty_lots=30))
    where.place(order("short", side=SELL, qty_lots=31))
    reports = where.drain()
    assert lots(reports) == [("c1", 30)]
    assert canceled(reports) == [("short", OrderReason.INSUFFICIENT_FUNDS)]
    assert where.n_working == 0


# --- latency ---


def test_requests_and_words_take_their_time() -> None:
    where = ticks([*BOOK, (ASK, 15, 101, 0), (ASK, 15, 103, 50)], entry_latency_ns=10, response_latency_ns=7)
    where.advance(2)
    assert isinstance(where.place(order(limit=110, ts_ns=2)), BrokerPending)
    assert isinstance(where.place(order("late", limit=110, ts_ns=6)), BrokerPending)
    assert known(where, 40) == [
        (19, "c1 accepted"),
        (19, "c1 10 at 101"),
        (23, "late accepted"),
        (23, "late 10 at 103"),
    ]


def test_our_books_know_only_what_was_told() -> None:
    where = ticks(BOOK, traded=BTC, entry_latency_ns=10, response_latency_ns=7)
    where.advance(2)
    where.place(order(ts_ns=2))
    where.advance(12)
    assert (where.cash, where.held_qty(0)) == (Decimal(899), Decimal(1))
    assert (where.told_cash, where.told_qty(0)) == (Decimal(1000), Decimal(0))
    where.advance(19)
    where.take(19)
    assert (where.told_cash, where.told_qty(0)) == (Decimal(899), Decimal(1))


def test_a_refusal_comes_as_a_word_too() -> None:
    where = ticks(BOOK, entry_latency_ns=10)
    where.advance(2)
    where.place(order(qty_lots=0))
    where.advance(12)
    assert ends(where.take(12)) == [("c1", OrderStatus.REJECTED, OrderReason.FILTER_QTY)]


def test_requests_do_not_overtake_each_other_and_samples_are_drawn_by_order() -> None:
    samples = (np.array([5, 50], dtype=np.int64), np.array([1, 2, 3], dtype=np.int64))

    def arrivals(seed: int) -> list[tuple[int, str]]:
        where = ticks(BOOK, latency_samples=samples, seed=seed)
        where.advance(2)
        for number in range(6):
            where.place(order(f"c{number}", ts_ns=2 + number, limit=50 + number))
        return known(where, 200)

    first = arrivals(1)
    assert first == arrivals(1)
    assert [said for _, said in first] == [f"c{number} accepted" for number in range(6)]
    assert [at for at, _ in first] == sorted(at for at, _ in first)
    assert len({tuple(arrivals(seed)) for seed in range(8)}) > 1


def test_a_cancel_may_come_too_late_and_says_nothing_then() -> None:
    where = ticks([*BOOK, (DOWN, 15, 90, 99)], entry_latency_ns=10)
    where.advance(2)
    where.place(order(limit=95))
    where.advance(12)
    assert told(where.take(12)) == ["c1 accepted"]
    where.cancel(BrokerCancelReq(symbol="", client_order_id="c1", ts_ns=6))
    assert known(where, 30) == [(15, "c1 10 at 95")]


def test_the_end_of_data_ends_what_works_and_what_never_arrived_and_tells_what_was_on_its_way() -> None:
    where = ticks(BOOK, entry_latency_ns=10, response_latency_ns=99)
    where.advance(2)
    where.place(order(limit=50))
    where.advance(12)
    where.place(order("never", limit=50, ts_ns=12))
    assert told(where.expire_all(13)) == ["c1 accepted", "never end_of_data", "c1 end_of_data"]
    assert where.next_report_ns == FOREVER_NS and where.n_working == 0


# --- conditions ---


def test_stops_wait_for_a_trade_and_trailing_ones_follow_them() -> None:
    where = ticks([*BOOK, (UP, 3, 101, 1), (UP, 5, 110, 1), (DOWN, 7, 106, 1), (DOWN, 9, 105, 1)])
    where.advance(2)
    where.place(order("trail", type=TRAILING, side=SELL, trail=5))
    where.place(order("stop", type=STOP, side=SELL, trigger=95))
    assert known(where, 20) == [(9, "trail triggered"), (9, "trail 10 at 99")]


def test_gtd_ends_at_its_time_and_before_the_rows_of_that_time() -> None:
    where = ticks([*BOOK, (DOWN, 10, 90, 99)])
    where.advance(2)
    where.place(order(limit=95, tif=TimeInForce.GTD, expire_ns=10))
    where.place(order("later", limit=95, tif=TimeInForce.GTD, expire_ns=11))
    assert known(where, 20) == [(10, "c1 gtd_expired"), (10, "later 10 at 95")]


def test_a_post_only_order_that_would_take_is_canceled() -> None:
    where = ticks(BOOK)
    where.advance(2)
    where.place(order(limit=101, post_only=True))
    assert canceled(where.drain()) == [("c1", OrderReason.POST_ONLY_WOULD_TAKE)]


# --- links ---


def bracket(rows: Sequence[tuple[int, int, int, int]], **given: Any) -> SimulatedVenue:
    where = ticks([*BOOK, *rows], cash="10000", **given)
    where.advance(2)
    where.place(order("entry", limit=100))
    where.place(order("profit", side=SELL, limit=110, group="g", after="entry", reduce_only=True))
    where.place(order("stop", side=SELL, type=STOP, trigger=90, group="g", after="entry", reduce_only=True))
    return where


def test_exits_enter_the_market_with_their_entrys_fill() -> None:
    up = bracket([(UP, 3, 120, 9), (DOWN, 5, 99, 20), (ASK, 6, 101, 0), (UP, 7, 111, 99)])
    assert known(up, 20) == [(5, "entry 10 at 100"), (7, "profit 10 at 110"), (7, "stop oco_sibling")]
    down = bracket([(DOWN, 5, 99, 20), (BID, 6, 99, 0), (BID, 6, 88, 50), (DOWN, 7, 89, 1), (UP, 8, 120, 99)])
    assert known(down, 20) == [
        (5, "entry 10 at 100"),
        (7, "stop triggered"),
        (7, "stop 10 at 88"),
        (7, "profit oco_sibling"),
    ]


def test_exits_follow_an_entry_that_fills_in_parts() -> None:
    rows = [(DOWN, 5, 100, 4), (ASK, 6, 101, 0), (UP, 7, 111, 99), (DOWN, 9, 100, 6), (UP, 11, 111, 99)]
    where = bracket(rows)
    assert known(where, 20) == [
        (5, "entry 4 at 100"),
        (7, "profit 4 at 110"),
        (9, "entry 6 at 100"),
        (11, "profit 6 at 110"),
        (11, "stop oco_sibling"),
    ]


def test_a_partial_fill_shrinks_the_group_in_the_market() -> None:
    where = ticks([*BOOK, (DOWN, 5, 100, 4), (DOWN, 7, 90, 99)])
    where.advance(2)
    where.place(order("a", limit=100, group="g"))
    where.place(order("b", limit=98, group="g"))
    assert known(where, 20) == [(5, "a 4 at 100"), (7, "a 6 at 100"), (7, "b oco_sibling")]


# --- amendments ---


def amend(name: str, lots: int = 0, limit: int = 0, ts_ns: int = 3) -> BrokerAmendReq:
    return BrokerAmendReq(
        symbol="", client_order_id=name, qty_lots=lots, limit_price_ticks=limit, trigger_price_ticks=0, ts_ns=ts_ns
    )  # fmt: skip


def test_an_amendment_holds_in_the_market() -> None:
    where = ticks([*BOOK, (DOWN, 5, 99, 60)])
    where.advance(2)
    where.place(order(limit=90))
    where.amend(amend("c1", lots=7, limit=100))
    assert story(where.drain()) == ["c1 amended"]
    assert known(where, 20) == [(5, "c1 7 at 100")]


def test_an_amendment_into_the_market_takes_unless_it_may_only_make() -> None:
    where = ticks(BOOK)
    where.advance(2)
    where.place(order("take", limit=90))
    where.place(order("make", limit=90, post_only=True))
    where.amend(amend("take", limit=105))
    where.amend(amend("make", limit=105))
    assert story(where.drain()) == ["take amended", "make amend_refused"]
    assert known(where, 20) == [(3, "take 10 at 101")]
    assert where.n_working == 1


# --- self-trade prevention ---


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("expire_taker", ["buy self_trade"]),
        ("expire_maker", ["sell self_trade", "buy 10 at 101"]),
        ("expire_both", ["sell self_trade", "buy self_trade"]),
        ("none", ["buy 10 at 101"]),
    ],
)
def test_an_order_that_would_meet_our_own_is_stopped(policy: SelfTrade, said: list[str]) -> None:
    where = ticks(BOOK, self_trade=policy)
    where.advance(2)
    where.place(order("sell", side=SELL, limit=100))
    where.place(order("far", side=SELL, limit=105))
    where.place(order("buy", limit=120))
    assert story(where.drain()) == said


# --- perpetual accounts ---

RISKY: dict[str, Any] = {
    "account": "perpetual",
    "leverage": Decimal(5),
    "maintenance_margin_bps": Decimal(100),
}


def test_a_position_is_liquidated_at_the_first_trade_that_ruins_it() -> None:
    rows = [(ASK, 1, 100, 500), (BID, 1, 99, 500), (UP, 3, 100, 1), (DOWN, 5, 81, 1), (DOWN, 7, 79, 1)]
    where = ticks(rows, liquidation_fee_bps=Decimal(0), **RISKY)
    where.advance(2)
    where.place(order(qty_lots=500))
    where.place(order("rest", limit=50))
    assert known(where, 20) == [(2, "c1 500 at 100"), (7, "rest liquidated"), (7, "liquidated 500 at 79")]
    assert (where.held_qty(0), where.cash) == (Decimal(0), Decimal(1000 - 50 * 21))


def test_of_two_positions_every_price_that_could_ruin_is_watched() -> None:
    where = venue(BTC, PERP, PERP, slippage="0", taker="0", liquidation_fee_bps=Decimal(0), **RISKY)
    start = [(ASK, 1, 100, 500), (BID, 1, 99, 500), (UP, 2, 100, 1)]
    where.add_market(1, market([*start, *((DOWN, ts, 100 - ts, 1) for ts in range(5, 60))]))
    where.add_market(2, market([*start, (UP, 12, 110, 1), (DOWN, 20, 104, 1)]))
    where.advance(2)
    where.place(order("a", instrument=1, qty_lots=250))
    where.place(order("b", instrument=2, qty_lots=250))
    # At time t: 1000 - 25 t + 25 x (4 or 10) against 1 % of the worth of both, about 50.
    assert known(where, 50) == [
        (2, "a 250 at 100"),
        (2, "b 250 at 100"),
        (43, "liquidated 250 at 57"),
        (43, "liquidated 250 at 104"),  # What is left, 25, is less than 1 % of 2600.
    ]


def test_funding_is_paid_at_its_time_on_the_last_trade() -> None:
    schedule = FundingSchedule(rate=Decimal("0.01"))
    rows = [(ASK, 1, 100, 500), (UP, 3, 90, 1), (UP, FUNDING_NS, 95, 1)]
    where = ticks(rows, funding=schedule, **RISKY)
    where.advance(2)
    where.place(order())
    assert known(where, FUNDING_NS) == [(2, "c1 10 at 100"), (FUNDING_NS, "funding -0.9")]


# --- bars and ticks side by side ---


def test_a_bar_market_and_a_tick_market_live_in_one_venue() -> None:
    where = venue(PERP, PERP, slippage="0", taker="0")
    where.add_market(1, market([(ASK, START_NS, 100, 50), (BID, START_NS, 99, 50)]))
    where.advance(START_NS)
    where.place(request("bars"))
    where.place(request("ticks", instrument=1))
    assert story(where.drain()) == ["ticks 10 at 100"]
    where.advance(START_NS + INTERVAL_NS)
    assert story(where.on_bar(bar(0, 50, 50, 50, 50))) == ["bars 10 at 50"]
    assert where.told_cash == where.cash == 850


# --- what only shows in the second order ---


def test_one_row_that_fills_two_of_a_group_fills_no_more_than_one_of_them() -> None:
    where = ticks([*BOOK, (DOWN, 5, 100, 4), (DOWN, 7, 90, 99)])
    where.advance(2)
    where.place(order("a", limit=100, group="g"))
    where.place(order("b", limit=98, group="g", qty_lots=12))
    assert known(where, 20) == [(5, "a 4 at 100"), (7, "a 6 at 100"), (7, "b 2 at 98")]
    assert where.held_qty(0) == Decimal("1.2") and where.n_working == 0


def test_what_a_group_took_from_an_order_goes_to_the_one_behind_it() -> None:
    where = ticks([*BOOK, (ASK, 2, 101, 0), (UP, 5, 100, 4), (UP, 7, 105, 6)])
    where.advance(2)
    where.place(order("a", side=SELL, limit=100, group="g", qty_lots=8))
    where.place(order("b", side=SELL, limit=105, group="g", qty_lots=8))
    where.place(order("behind", side=SELL, limit=105, qty_lots=8))
    assert known(where, 6) == [(5, "a 4 at 100")]
    where.cancel(BrokerCancelReq(symbol="", client_order_id="a", ts_ns=6))
    assert known(where, 20)[1:] == [(7, "b 4 at 105"), (7, "behind 2 at 105")]


def test_a_canceled_order_takes_nothing_from_the_one_behind_it() -> None:
    where = ticks([*BOOK, (DOWN, 5, 100, 10)])
    where.advance(2)
    where.place(order("first", limit=100))
    where.place(order("second", limit=100))
    where.cancel(BrokerCancelReq(symbol="", client_order_id="first", ts_ns=2))
    assert known(where, 20) == [(2, "first cancel_requested"), (5, "second 10 at 100")]


def test_a_shrunk_group_member_leaves_its_lots_to_the_one_behind_it() -> None:
    where = ticks([*BOOK, (UP, 5, 101, 54), (DOWN, 7, 100, 10)])
    where.advance(2)
    where.place(order("sold", side=SELL, limit=101, qty_lots=4))
    where.place(order("up", limit=100, group="g"))
    where.place(order("down", limit=95, group="g"))
    where.place(order("behind", limit=100))
    where.amend(amend("up", lots=6))
    where.take(3)
    assert known(where, 20) == [(5, "sold 4 at 101"), (7, "up 6 at 100"), (7, "behind 4 at 100")]


def test_an_order_is_not_amended_into_one_of_our_own() -> None:
    where = ticks(BOOK)
    where.advance(2)
    where.place(order("sell", side=SELL, limit=100))
    where.place(order("buy", limit=90))
    where.amend(amend("buy", limit=100))
    assert story(where.drain()) == ["buy amend_refused"]


def test_a_ruin_by_two_small_losses_is_seen() -> None:
    where = venue(BTC, PERP, PERP, slippage="0", taker="0", liquidation_fee_bps=Decimal(0), **RISKY)
    start = [(ASK, 1, 100, 500), (BID, 1, 99, 500), (UP, 2, 100, 1)]
    falls = [(DOWN, ts, 100 - ts + 20, 1) for ts in range(20, 60)]
    where.add_market(1, market([*start, *falls]))
    where.add_market(2, market([*start, (DOWN, 12, 70, 1)]))
    where.advance(2)
    where.place(order("a", instrument=1, qty_lots=250))
    where.place(order("b", instrument=2, qty_lots=250))
    # 1000 - 25 x 30 - 25 x 9 = 25 is less than 1 % of 25 x (70 + 91).
    seen = [said for now_ns in range(2, 41) for said in known(where, now_ns)]
    assert seen[2:] == [(29, "liquidated 250 at 91")]


def test_arrivals_keep_their_order_and_their_times_rise() -> None:
    samples = (np.array([5, 50], dtype=np.int64), np.array([0], dtype=np.int64))
    where = ticks(BOOK, latency_samples=samples, seed=3)
    where.advance(2)
    for number in range(8):
        where.place(order(f"c{number}", ts_ns=2 + number, limit=50))
    times = []
    while where.server_time() < 100:
        where.advance(100)
        times += [each.ts_venue_ns for each in where.take(200) if isinstance(each, BrokerOrderUpdate)]
    assert len(times) == 8 and times == sorted(times)


def test_each_request_draws_its_own_delay() -> None:
    samples = (np.arange(1000, dtype=np.int64), np.arange(1000, dtype=np.int64))
    latency = Latency(VenueTerms(latency_samples=samples, entry_latency_ns=5))
    drawn = [latency.entry_ns("c1", number) for number in range(20)]
    assert len(set(drawn)) > 10 and min(drawn) >= 5
    assert drawn == [latency.entry_ns("c1", number) for number in range(20)]
    assert drawn != [latency.entry_ns("c2", number) for number in range(20)]
    assert drawn != [latency.response_ns("c1", number) + 5 for number in range(20)]
