"""A simulated venue answers for what has ended with the very words that it once said."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.contracts import BrokerFill, BrokerOrderReq, BrokerOrderUpdate
from njord.core.filters import INT64_MAX
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.venues.kept import KeptFills, KeptOrders
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
@given(st.lists(UPDATES, max_size=6))
def test_the_last_word_on_an_order_is_kept_whole(updates: list[BrokerOrderUpdate]) -> None:
    kept = KeptOrders()
    latest: dict[str, BrokerOrderUpdate] = {}
    for update in updates:
        kept.end(update)
        first = latest.get(update.client_order_id, update)
        latest[update.client_order_id] = BrokerOrderUpdate(
            **{name: getattr(update, name) for name in update.__struct_fields__ if name != "venue_order_id"},
            venue_order_id=first.venue_order_id,
        )
    assert {name: kept.ended(name) for name in latest} == latest
    assert all(name in kept for name in latest)
    assert "never placed" not in kept
    assert kept.ended("never placed") is None


def test_an_order_works_until_its_end_and_is_never_forgotten() -> None:
    kept = KeptOrders()
    one, other = order("one", "1"), order("other", "2")
    one.number, other.number = kept.add(one), kept.add(other)
    assert (kept.working["one"], kept.ended("one")) == (one, None)
    update = told(one, OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED, 9)
    kept.end(update)
    assert ("one" in kept.working, "one" in kept) == (False, True)
    assert kept.ended("one") == update
    assert (kept.working["other"], kept.ended("other")) == (other, None)


def test_fills_are_kept_with_their_order_and_the_last_digit_of_their_fee() -> None:
    kept = KeptOrders()
    fills = KeptFills(kept)
    names = ["one", "other"]
    numbers = [kept.add(order(name)) for name in names]
    given = [
        BrokerFill(
            client_order_id=names[at], venue_trade_id=f"{trade_id}", price_ticks=7, qty_lots=INT64_MAX, fee=Decimal(fee),
            fee_asset=asset, is_maker=bool(at), ts_venue_ns=trade_id,
        )
        for trade_id, at, fee, asset in ((1, 0, "0.10", "USDT"), (3, 1, "-1E-30", "A"), (4, 0, "0", "USDT"))
    ]  # fmt: skip
    for fill in given:
        fills.add(fill, int(fill.venue_trade_id), numbers[names.index(fill.client_order_id)])
    assert fills == given
    assert [str(fill.fee) for fill in fills] == ["0.10", "-1E-30", "0"]
