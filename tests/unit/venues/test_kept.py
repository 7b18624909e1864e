"""A simulated venue answers for what has ended with the very words that it once said."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.columns import BATCH
from njord.core.contracts import BrokerFill, BrokerOrderReq, BrokerOrderUpdate
from njord.core.errors import VenueRejected
from njord.core.filters import INT64_MAX
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.venues.kept import BriefOrders, KeptFills, KeptOrders
from njord.venues.working import Working, told, working

WHOLE = st.integers(0, INT64_MAX)
UPDATES = st.builds(
    BrokerOrderUpdate,
    client_order_id=st.text(max_size=3), venue_order_id=st.text(max_size=3), symbol=st.sampled_from(("A/B", "C/D")),
    side=st.sampled_from(Side), type=st.sampled_from(OrderType), status=st.sampled_from(OrderStatus),
    reason=st.sampled_from(OrderReason), qty_lots=WHOLE, filled_lots=WHOLE, limit_price_ticks=WHOLE, ts_venue_ns=WHOLE,
    trigger_price_ticks=WHOLE,
)  # fmt: skip


def order(name: str, venue_order_id: str = "1") -> Working:
    req = BrokerOrderReq(
        symbol="A/B", instrument=0, client_order_id=name, side=Side.BUY, type=OrderType.MARKET, tif=TimeInForce.GTC,
        qty_lots=5, limit_price_ticks=0, reduce_only=False, ts_ns=1,
    )  # fmt: skip
    return working(req, venue_order_id)


@settings(max_examples=20)
@given(st.lists(UPDATES, max_size=6, unique_by=lambda update: update.client_order_id), st.integers(0, BATCH))
def test_the_last_word_on_an_order_is_kept_whole(updates: list[BrokerOrderUpdate], n_after: int) -> None:
    kept = KeptOrders()
    words: dict[str, BrokerOrderUpdate] = {}
    for number, said in enumerate(updates):
        update = msgspec.structs.replace(said, venue_order_id=str(number + 1))
        kept.end(placed(kept, update.client_order_id), update)
        words[update.client_order_id] = update
    for number in range(n_after):
        later = placed(kept, f"later {number}")
        kept.end(later, told(later, OrderStatus.FILLED, OrderReason.NONE, number))
    assert {name: kept.ended(name) for name in words} == words
    assert all(name in kept for name in words)
    assert "never placed" not in kept
    assert kept.ended("never placed") is None


def placed(kept: KeptOrders, name: str) -> Working:
    number = len(kept)
    new = order(name, str(number + 1))
    new.number = number
    kept.add(new)
    return new


def test_in_brief_an_order_is_never_forgotten_and_what_it_filled_stays_known() -> None:
    brief = BriefOrders()
    one, other = order("one", "1"), order("other", "2")
    for each in (one, other):
        brief.add(each)
    one.filled_lots = 3
    brief.end(one, told(one, OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, 9))
    brief.end_unseen(told(order("lost", ""), OrderStatus.EXPIRED, OrderReason.END_OF_DATA, 9))
    known = ["one", "other", "lost", "never"]
    assert [name in brief for name in known] == [True, True, True, False]
    assert [brief.filled_lots(name) for name in known] == [3, None, 0, None]
    assert (brief.working, list(brief)) == ({"other": other}, ["one", "lost", "other"])
    assert (brief.ended("other"), brief.ended("never")) == (None, None)
    with pytest.raises(VenueRejected, match="order one has ended, and this venue keeps no history"):
        brief.ended("one")


@pytest.mark.parametrize("n_others", [0, BATCH - 3, BATCH - 2, BATCH - 1, BATCH, 2 * BATCH])
def test_an_order_works_until_its_end_and_is_never_forgotten(n_others: int) -> None:
    kept = KeptOrders()
    one, other = placed(kept, "one"), placed(kept, "other")
    for number in range(n_others):
        name = f"{number}"
        assert name not in kept
        each = placed(kept, name)
        assert name in kept
        kept.end(each, told(each, OrderStatus.FILLED, OrderReason.NONE, number))
    assert (kept.working["one"], kept.ended("one")) == (one, None)
    update = told(one, OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, 9)
    kept.end(one, update)
    placed(kept, "last")
    assert ("one" in kept.working, "one" in kept) == (False, True)
    assert kept.ended("one") == update
    assert (kept.working["other"], kept.ended("other")) == (other, None)
    said = [kept.ended(f"{number}") for number in range(n_others)]
    assert [(each.venue_order_id, each.ts_venue_ns) for each in said if each] == [
        (str(number + 3), number) for number in range(n_others)
    ]
    assert [kept.id_at(number) for number in range(len(kept))] == [
        "one", "other", *map(str, range(n_others)), "last"
    ]  # fmt: skip


def test_an_order_that_ended_on_its_way_is_known_too() -> None:
    kept = KeptOrders()
    update = told(order("lost", ""), OrderStatus.EXPIRED, OrderReason.END_OF_DATA, 9)
    kept.end_unseen(update)
    assert "lost" in kept
    assert (kept.ended("lost"), len(kept)) == (update, 0)


@pytest.mark.parametrize("n_fills", [3, BATCH - 1, BATCH, BATCH + 1])
def test_fills_are_kept_with_their_order_and_the_last_digit_of_their_fee(n_fills: int) -> None:
    kept = KeptOrders()
    fills = KeptFills(kept)
    names = ["one", "other"]
    orders = [placed(kept, name) for name in names]
    fees = ("0.10", "-1E-30", "0")
    given = [
        BrokerFill(
            client_order_id=names[n % 2], venue_trade_id=f"{2 * n}", price_ticks=7, qty_lots=INT64_MAX,
            fee=Decimal(fees[n % 3]), fee_asset=("USDT", "A")[n % 2], is_maker=bool(n % 2), ts_venue_ns=n,
        )
        for n in range(n_fills)
    ]  # fmt: skip
    for n, fill in enumerate(given):
        assert len(fills) == n
        fills.add(fill, orders[n % 2].number)
    assert fills == given
    assert [str(fill.fee) for fill in fills] == [fees[n % 3] for n in range(n_fills)]
