"""The venue on ticks by hand, of one account over time: last prices, funding, moments, exits that fill at once."""

from decimal import Decimal
from typing import Any

import msgspec

from njord.core.contracts import BrokerFill, BrokerOrderAck, BrokerReject
from njord.core.types import OrderReason, TimeInForce
from njord.venues.funding import FundingSchedule
from tests.property.strategies import instrument
from tests.unit.venues.test_venue_ticks import (
    BOOK,
    DOWN,
    SELL,
    TRAILING,
    UP,
    amend,
    known,
    market,
    order,
    ticks,
)
from tests.unit.venues.venue_case import BTC, PERP, canceled, fills, lots, story, venue

ETH = instrument("ETH/USDT", tick_size=Decimal(1), lot_size=Decimal("0.1"))


# --- what the venue measures by the last price ---


def test_an_order_without_a_price_is_valued_at_the_last_trade_even_before_our_first_fill() -> None:
    rich = msgspec.structs.replace(BTC, min_notional=Decimal(50))
    where = ticks([*BOOK, (UP, 1, 100, 1)], traded=rich)
    where.advance(2)
    assert isinstance(where.place(order(qty_lots=5)), BrokerOrderAck)
    assert isinstance(where.place(order("small", qty_lots=4)), BrokerReject)


def test_a_trailing_stop_trails_the_last_trade_and_not_the_price_of_our_last_fill() -> None:
    where = ticks([(UP, 1, 100, 9), (UP, 3, 100, 9), (DOWN, 5, 90, 9), (DOWN, 7, 86, 9), (DOWN, 9, 85, 9)])
    where.advance(2)
    where.place(order(qty_lots=5))
    where.advance(4)
    assert fills(where.take(4)) == [("c1", 100, False)]
    where.advance(6)
    where.place(order("stop", ts_ns=6, side=SELL, type=TRAILING, trail=5, qty_lots=5))
    assert known(where, 8) == []
    assert known(where, 10) == [(9, "stop triggered")]


def test_what_a_margin_account_may_borrow_is_measured_at_the_last_trades_of_all_its_markets() -> None:
    where = venue(BTC, ETH, slippage="0", taker="0", cash="100", account="margin", leverage=Decimal(2))
    where.add_market(0, market([(UP, 1, 100, 99), (UP, 3, 100, 99), (DOWN, 5, 60, 99)]))
    where.add_market(1, market([(UP, 1, 100, 99), (UP, 7, 100, 99)]))
    where.advance(2)
    where.place(order(qty_lots=10))
    where.advance(4)
    assert fills(where.take(4)) == [("c1", 100, False)]
    where.advance(6)
    # One BTC was bought with all the money and has lost 40: what backs positions is 60, twice that may be held.
    where.place(order("too much", ts_ns=6, instrument=1, qty_lots=7))
    where.place(order("enough", ts_ns=6, instrument=1, qty_lots=6))
    where.advance(8)
    reports = where.take(8)
    assert canceled(reports) == [("too much", OrderReason.INSUFFICIENT_FUNDS)]
    assert lots(reports) == [("enough", 6)]


def test_funding_is_due_for_contracts_alone_while_an_asset_is_held_beside_them() -> None:
    schedule = FundingSchedule(rates=((5, Decimal("0.001")), (9, Decimal("0.001"))))
    terms: dict[str, Any] = {"account": "perpetual", "leverage": Decimal(5), "funding": schedule}
    where = venue(BTC, PERP, slippage="0", taker="0", **terms)
    for index in range(2):
        where.add_market(index, market([*BOOK, (UP, 1, 100, 1)]))
    where.advance(2)
    where.place(order("asset", qty_lots=5))
    where.place(order("contract", instrument=1))
    assert known(where, 20)[2:] == [(5, "funding -0.1"), (9, "funding -0.1")]


def test_an_order_that_answers_an_expiry_fills_at_its_own_time_not_before() -> None:
    where = ticks([*BOOK, (UP, 5, 101, 1)])
    where.advance(2)
    where.place(order("expires", limit=90, tif=TimeInForce.GTD, expire_ns=5))
    where.advance(9)
    assert where.server_time() == 5
    assert canceled(where.take(5)) == [("expires", OrderReason.GTD_EXPIRED)]
    where.place(order("answer", ts_ns=5))
    (fill, _) = where.take(5)
    assert isinstance(fill, BrokerFill) and fill.ts_venue_ns == 5


def test_of_two_exits_that_could_both_fill_at_once_with_their_entry_one_does() -> None:
    where = ticks([*BOOK, (UP, 5, 101, 50)])
    where.advance(2)
    where.place(order("entry", limit=99))
    where.place(order("high", side=SELL, limit=98, after="entry", group="g", qty_lots=4))
    where.place(order("low", side=SELL, limit=97, after="entry", group="g", qty_lots=4))
    where.take(2)
    where.amend(amend("entry", limit=101))
    where.advance(9)
    assert story(where.take(9)) == [
        "entry amended", "entry 10 at 101", "high 4 at 99", "low oco_sibling",
    ]  # fmt: skip
    assert where.held_qty(0) == Decimal("0.6")


def test_a_fill_or_kill_exit_that_its_entry_allows_in_part_only_is_killed() -> None:
    where = ticks([*BOOK, (DOWN, 5, 99, 54), (DOWN, 6, 99, 9)])
    where.advance(2)
    where.place(order("entry", limit=99))
    where.place(order("exit", side=SELL, tif=TimeInForce.FOK, after="entry"))
    where.take(2)
    where.advance(5)
    assert story(where.take(5)) == ["entry 4 at 99", "exit fok_unfilled"]
