"""Sizing, and the difference between what is wanted and what is held or on its way."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from njord.core.account import SpotAccount
from njord.core.contracts import (
    CancelIntent,
    Message,
    OrderIntent,
    OrderUpdate,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
)
from njord.core.holdings import Holdings
from njord.core.ids import Counter
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderStatus, RefusalReason, Side
from njord.portfolio.rebalance import Rebalancer
from tests.property.strategies import START_NS, bar, fill_event, instrument, order_event, order_update

SPOT = instrument(tick_size=Decimal("0.01"), lot_size=Decimal("0.001"))
PERP = instrument(
    "BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("0.01"), lot_size=Decimal("0.001")
)


class Desk:
    """A rebalancer, its ledger, and the messages between them."""

    def __init__(
        self,
        traded: Instrument = SPOT,
        cash: str = "10000",
        cost_bps: str = "15",
        fixed_qty: Decimal | None = None,
    ) -> None:
        counters = {"s": Counter("s"), "other": Counter("other")}
        self.account = SpotAccount((traded,), "USDT", Decimal(cash))
        mirror = SpotAccount((traded,), "USDT", Decimal(cash))
        holdings = Holdings(mirror, (traded,))
        self.desk = Rebalancer((traded,), holdings, "main", counters, Decimal(cost_bps), fixed_qty)
        self.n = 0

    def tell(self, *messages: Message) -> None:
        for message in messages:
            assert not self.desk.handlers()[type(message)](message)

    def close(self, ticks: int) -> "Desk":
        self.tell(bar(0, ticks, ticks, ticks, ticks))
        return self

    def ask(self, strategy_id: str = "s", **target: Any) -> Sequence[Message]:
        return self.desk.handlers()[Target](Target(ts_ns=START_NS, strategy_id=strategy_id, **target)) or ()

    def intent(self, strategy_id: str = "s", **target: Any) -> OrderIntent:
        (intent,) = self.ask(strategy_id, **target)
        assert isinstance(intent, OrderIntent)
        return intent

    def refusal(self, **target: Any) -> RefusalReason:
        (refused,) = self.ask(**target)
        assert isinstance(refused, ProposalRefused)
        return refused.reason

    def approve(self, intent: OrderIntent) -> str:
        self.n += 1
        name = f"c{self.n}"
        self.tell(
            order_event(
                name,
                intent_id=intent.intent_id,
                strategy_id=intent.strategy_id,
                side=intent.side,
                qty_lots=intent.qty_lots,
            )
        )
        return name

    def fill(self, intent: OrderIntent, ticks: int, fee: str = "0", fee_asset: str = "USDT") -> None:
        """Approve and fill an intent, and book it."""
        name = self.approve(intent)
        done = fill_event(
            name,
            strategy_id=intent.strategy_id,
            side=intent.side,
            qty_lots=intent.qty_lots,
            price_ticks=ticks,
            fee=Decimal(fee),
            fee_asset=fee_asset,
        )
        self.tell(done, *self.account.apply_fill(done, [ticks]), order_update(OrderStatus.FILLED, name))


# --- how much ---


def test_a_weight_leaves_room_for_fee_slippage_and_one_percent() -> None:
    intent = Desk().close(10_000).intent(weight=1.0)
    # 10,000 / (100 x (1 + 0.0015 + 0.01)) = 98.8630..., down to the lot.
    assert (intent.side, intent.qty_lots) == (Side.BUY, 98_863)


@given(
    st.integers(1, 10**7),
    st.floats(0.001, 1.0),
    st.decimals("1", "1e9", places=4, allow_nan=False),
    st.decimals("0", "500", places=1, allow_nan=False),
)
def test_what_is_bought_costs_no_more_than_its_weight_and_no_lot_is_left_out(
    ticks: int, weight: float, cash: Decimal, cost_bps: Decimal
) -> None:
    desk = Desk(cash=str(cash), cost_bps=str(cost_bps)).close(ticks)
    budget = Decimal(str(weight)) * cash
    price = SPOT.price(ticks) * (1 + cost_bps / 10_000 + Decimal("0.01"))
    (answer,) = desk.ask(weight=weight)
    lots = answer.qty_lots if isinstance(answer, OrderIntent) else 0
    assert SPOT.qty(lots) * price <= budget < SPOT.qty(lots + 1) * price
    if not lots:
        assert isinstance(answer, ProposalRefused) and answer.reason is RefusalReason.TARGET_BELOW_LOT


def test_a_weight_is_of_equity_and_a_position_counts_at_its_mark() -> None:
    desk = Desk(cost_bps="0").close(10_000)
    desk.fill(desk.intent(qty="50"), 10_000)
    desk.close(20_000)  # Equity 15,000.
    wanted = int(Decimal("15000") / (200 * Decimal("1.01")) * 1000)
    assert desk.intent(weight=1.0).qty_lots == wanted - 50_000


def test_a_fixed_quantity_replaces_the_size_of_every_weight_but_not_its_sign() -> None:
    desk = Desk(PERP, fixed_qty=Decimal("0.5")).close(10_000)
    assert desk.intent(weight=0.001).qty_lots == 500
    other = Desk(PERP, fixed_qty=Decimal("0.5")).close(10_000).intent(weight=-1)
    assert (other.side, other.qty_lots) == (Side.SELL, 500)
    assert desk.ask(qty=Decimal("0.5")) == ()  # On its way already.


def test_a_quantity_is_taken_as_it_is_down_to_the_lot() -> None:
    assert Desk().close(100).intent(qty=Decimal("1.2349")).qty_lots == 1234
    assert Desk().close(100).intent(qty=Decimal("-1.2349")).qty_lots == 1234


# --- what is refused ---


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({}, RefusalReason.INTENT_MALFORMED),
        ({"weight": 1.0, "qty": Decimal(1)}, RefusalReason.INTENT_MALFORMED),
        ({"weight": float("nan")}, RefusalReason.INTENT_MALFORMED),
        ({"weight": float("inf")}, RefusalReason.INTENT_MALFORMED),
        ({"weight": float("-inf")}, RefusalReason.INTENT_MALFORMED),
        ({"weight": 1e300}, RefusalReason.INTENT_MALFORMED),
        ({"qty": Decimal("NaN")}, RefusalReason.INTENT_MALFORMED),
        ({"qty": Decimal("Infinity")}, RefusalReason.INTENT_MALFORMED),
        ({"qty": Decimal("1e100")}, RefusalReason.INTENT_MALFORMED),
        ({"qty": Decimal("0.0009")}, RefusalReason.TARGET_BELOW_LOT),
        ({"weight": 1e-9}, RefusalReason.TARGET_BELOW_LOT),
    ],
)
def test_a_target_that_means_nothing_is_refused_and_takes_no_id(target: Any, reason: RefusalReason) -> None:
    desk = Desk().close(10_000)
    assert desk.refusal(**target) is reason
    assert desk.intent(weight=0.5).intent_id == "s-1"


def test_without_a_price_only_quantities_can_be_sized() -> None:
    assert Desk().refusal(weight=0.5) is RefusalReason.PRICE_UNKNOWN
    assert Desk().ask(weight=0.0) == ()
    assert Desk().intent(qty=Decimal(1)).qty_lots == 1000


def test_a_share_of_a_ruined_account_is_not_the_other_side() -> None:
    desk = Desk(PERP, cash="1000").close(10_000)
    desk.fill(desk.intent(qty=Decimal(-10)), 10_000)
    desk.close(30_000)  # Equity 1,000 + 1,000 - 3,000.
    assert desk.refusal(weight=1.0) is RefusalReason.CASH_INSUFFICIENT
    assert desk.intent(weight=0.0).side is Side.BUY


# --- what is on its way ---


def test_a_target_repeated_before_its_order_is_filled_asks_for_nothing_more() -> None:
    desk = Desk().close(10_000)
    first = desk.intent(weight=0.5)
    assert desk.ask(weight=0.5) == ()  # Not even decided on.
    name = desk.approve(first)
    assert desk.ask(weight=0.5) == ()
    desk.tell(order_update(OrderStatus.UNKNOWN, name))
    assert desk.ask(weight=0.5) == ()
    desk.tell(order_update(OrderStatus.CANCELED, name))
    assert desk.intent(weight=0.5).qty_lots == first.qty_lots


def test_a_refused_intent_is_not_on_its_way() -> None:
    desk = Desk().close(10_000)
    first = desk.intent(weight=0.5)
    desk.tell(
        RiskDecision(
            ts_ns=START_NS,
            instrument=0,
            account_id="main",
            strategy_id="s",
            intent_id=first.intent_id,
            allowed=False,
        )
    )
    assert desk.intent(weight=0.5).qty_lots == first.qty_lots


def test_a_strategys_own_intents_count_as_soon_as_they_are_made() -> None:
    desk = Desk().close(10_000)
    desk.tell(OrderIntent(ts_ns=START_NS, strategy_id="s", intent_id="s-9", side=Side.BUY, qty_lots=400))
    assert desk.intent(qty=Decimal(1)).qty_lots == 600


def test_each_strategy_has_its_own_position() -> None:
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(1)), 10_000)
    assert desk.ask("other", weight=0.0) == ()
    assert desk.intent("other", qty=Decimal(1)).qty_lots == 1000
    assert desk.intent(weight=0.0).qty_lots == 1000


def test_another_strategys_order_is_not_on_its_way_to_this_one() -> None:
    desk = Desk().close(10_000)
    desk.approve(desk.intent("other", qty=Decimal(1)))
    assert desk.intent(qty=Decimal(1)).qty_lots == 1000


def test_a_flip_is_one_order_through_zero() -> None:
    desk = Desk(PERP).close(10_000)
    desk.fill(desk.intent(qty=Decimal(2)), 10_000)
    flip = desk.intent(qty=Decimal(-1))
    assert (flip.side, flip.qty_lots, flip.reduce_only) == (Side.SELL, 3000, False)
    desk.fill(flip, 10_000)
    back = desk.intent(qty=Decimal("-0.4"))
    assert (back.side, back.qty_lots, back.reduce_only) == (Side.BUY, 600, True)


# --- reduce-only ---


def test_an_exit_is_reduce_only_and_an_entry_is_not() -> None:
    desk = Desk().close(10_000)
    entry = desk.intent(qty=Decimal(2))
    assert not entry.reduce_only
    desk.fill(entry, 10_000)
    assert not desk.intent(qty=Decimal(3)).reduce_only


@pytest.mark.parametrize(("wanted", "lots"), [("1.5", 500), ("0", 2000)])
def test_part_or_all_of_a_position_is_left_reduce_only(wanted: str, lots: int) -> None:
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(2)), 10_000)
    exit_ = desk.intent(qty=Decimal(wanted))
    assert (exit_.side, exit_.qty_lots, exit_.reduce_only) == (Side.SELL, lots, True)


def test_a_target_cancels_its_own_order_that_works_against_it_and_trades_the_rest_when_that_has_ended() -> (
    None
):
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(2)), 10_000)
    buying = desk.intent(qty=Decimal(3))
    name = desk.approve(buying)
    (cancel,) = desk.ask(weight=0.0)
    assert isinstance(cancel, CancelIntent) and cancel.client_order_id == name
    assert not desk.ask(weight=0.0)  # Asked once; the last word stands.
    on_update = desk.desk.handlers()[OrderUpdate]
    ended = replace(order_update(OrderStatus.CANCELED, name), intent_id=buying.intent_id)
    (exit_,) = on_update(ended) or ()
    assert isinstance(exit_, OrderIntent) and exit_.ts_ns == ended.ts_ns
    assert (exit_.side, exit_.qty_lots, exit_.reduce_only) == (Side.SELL, 2000, True)
    desk.approve(exit_)
    assert not desk.ask(weight=0.0)


def test_what_filled_before_the_cancel_came_through_is_sold_too() -> None:
    desk = Desk().close(10_000)
    name = desk.approve(buying := desk.intent(qty=Decimal(3)))
    assert len(desk.ask(weight=0.0)) == 1
    done = fill_event(name, qty_lots=1200, price_ticks=10_000)
    desk.tell(done, *desk.account.apply_fill(done, [10_000]))
    ended = replace(order_update(OrderStatus.CANCELED, name), intent_id=buying.intent_id)
    (exit_,) = desk.desk.handlers()[OrderUpdate](ended) or ()
    assert isinstance(exit_, OrderIntent) and (exit_.side, exit_.qty_lots) == (Side.SELL, 1200)


def test_a_suspended_strategys_last_target_is_forgotten_and_its_own_orders_are_left_alone() -> None:
    desk = Desk().close(10_000)
    name = desk.approve(buying := desk.intent(qty=Decimal(3)))
    assert len(desk.ask(weight=0.0)) == 1
    desk.tell(StrategySuspended(ts_ns=START_NS, strategy_id="s", error="x"))
    desk.tell(replace(order_update(OrderStatus.CANCELED, name), intent_id=buying.intent_id))
    own = OrderIntent(strategy_id="s", intent_id="mine", side=Side.BUY, qty_lots=1000)
    desk.tell(own)
    desk.approve(own)
    assert not [each for each in desk.ask(qty=Decimal(0)) if isinstance(each, CancelIntent)]


def test_one_strategys_exit_that_the_account_would_enter_by_is_not_called_reduce_only() -> None:
    desk = Desk(PERP).close(10_000)
    desk.fill(desk.intent(qty=Decimal(2)), 10_000)
    desk.fill(desk.intent("other", qty=Decimal(-2)), 10_000)  # The account is flat.
    exit_ = desk.intent(weight=0.0)
    assert (exit_.side, exit_.qty_lots, exit_.reduce_only) == (Side.SELL, 2000, False)


def test_a_flip_is_not_called_reduce_only_even_where_the_account_holds_more() -> None:
    desk = Desk(PERP).close(10_000)
    desk.fill(desk.intent(qty=Decimal(2)), 10_000)
    desk.fill(desk.intent("other", qty=Decimal(2)), 10_000)
    flip = desk.intent(qty=Decimal(-1))
    assert (flip.qty_lots, flip.reduce_only) == (3000, False)


def test_two_exits_of_one_position_are_not_both_called_reduce_only() -> None:
    desk = Desk(PERP).close(10_000)
    desk.fill(desk.intent(qty=Decimal(3)), 10_000)
    desk.fill(desk.intent("other", qty=Decimal(-1)), 10_000)  # 2 are left for the account.
    first = desk.intent(qty=Decimal("1.5"))
    assert first.reduce_only
    desk.approve(first)
    desk.tell(order_update(OrderStatus.ACCEPTED, f"c{desk.n}"))
    assert not desk.intent("other", qty=Decimal(-2)).reduce_only


# --- fees in kind ---


def test_what_a_fee_in_kind_took_is_not_sold_and_dust_stays() -> None:
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(1)), 10_000, fee="0.0015", fee_asset="BTC")
    exit_ = desk.intent(weight=0.0)
    assert (exit_.side, exit_.qty_lots, exit_.reduce_only) == (Side.SELL, 998, True)
    assert SPOT.qty(exit_.qty_lots) <= desk.account.position(0).qty


def test_dust_of_many_fills_is_sold_once_it_makes_a_lot() -> None:
    desk = Desk().close(10_000)
    for wanted in range(1, 11):
        desk.fill(desk.intent(qty=Decimal(wanted) / 100), 10_000, fee="0.0001", fee_asset="BTC")
    # Each purchase refills what the fee took below a lot; after all, at most one lot's dust is missing.
    exit_ = desk.intent(weight=0.0)
    left = desk.account.position(0).qty - SPOT.qty(exit_.qty_lots)
    assert 0 <= left < SPOT.lot_size


def test_a_rebate_in_kind_is_held() -> None:
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(1)), 10_000, fee="-0.0025", fee_asset="BTC")
    assert desk.intent(weight=0.0).qty_lots == 1002


def test_a_fee_in_another_asset_leaves_the_position_whole() -> None:
    desk = Desk().close(10_000)
    desk.fill(desk.intent(qty=Decimal(1)), 10_000, fee="5", fee_asset="BNB")
    assert desk.intent(qty=Decimal(0)).qty_lots == 1000


def test_an_intent_says_why_in_the_strategys_words() -> None:
    intent = Desk().close(10_000).intent(qty=Decimal(1), reason="up", features=(("x", 1.5),))
    assert (intent.reason, intent.features, intent.account_id) == ("up", (("x", 1.5),), "main")
