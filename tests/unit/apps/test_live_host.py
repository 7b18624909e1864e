"""The live host: whatever a venue says, how often, in which order, our books end where the venue's are."""

from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.codec import encode
from njord.core.contracts import (
    EXTERNAL_OWNER,
    Alert,
    AmendIntent,
    BalanceAdjusted,
    CancelIntent,
    FillEvent,
    OrderUpdate,
    Proposal,
    TimerFired,
    TimerSet,
)
from njord.core.errors import OutcomeUnknown, VenueUnavailable
from njord.core.orders import TERMINAL
from njord.core.types import OrderReason, OrderStatus, Side, TradingState
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.venues.broker_wire import ExternalFill, Health, Word
from tests.property.strategies import amend_event
from tests.unit.apps.live_world import START_NS, LiveScene, balances, buy, fill, state

_S = OrderStatus


def sent(*proposals: Proposal, capital: str = "1000") -> LiveScene:
    scene = LiveScene({1: list(proposals) or [buy()]}, capital)
    scene.start()
    scene.bar(1)
    return scene


def statuses(scene: LiveScene) -> list[OrderStatus]:
    return [each.status for each in scene.of(OrderUpdate) if isinstance(each, OrderUpdate)]


def alerts(scene: LiveScene) -> list[str]:
    return [each.title for each in scene.of(Alert) if isinstance(each, Alert)]


def test_the_venues_books_are_not_known_before_it_was_asked_and_has_answered() -> None:
    scene = LiveScene({})
    for health in (None, Health(state=TradingState.HALTED, reason="stream: closed")):
        scene.host.hear([] if health is None else [health])
        with pytest.raises(VenueUnavailable, match="has not been asked yet" if health is None else "closed"):
            scene.host.reconcile()
    scene.host.hear([Health(state=TradingState.ACTIVE, reason="")])
    scene.host.reconcile()


def test_nothing_is_sent_before_the_venue_is_reconciled() -> None:
    scene = LiveScene({1: [buy()]})
    scene.host.switch(TradingState.ACTIVE)
    scene.host.hear([Health(state=TradingState.HALTED, reason="connecting")])
    scene.bar(1)
    assert scene.venue.placed == []
    assert scene.recorder.refusals["KILL_SWITCH_HALTED"] == 1


def test_an_order_is_followed_from_its_acceptance_to_its_last_trade() -> None:
    scene = sent()
    name = scene.order_id
    scene.host.hear(
        [state(name, _S.ACCEPTED), fill(name, "1", 400), fill(name, "2", 600), state(name, _S.FILLED, 1000)]
    )
    assert statuses(scene) == [_S.ACCEPTED, _S.FILLED]
    assert scene.held() == (Decimal("899.8"), Decimal(1))
    assert not scene.system.oms.working


@given(st.permutations([0, 1, 2, 3, 0, 1, 2, 3]))
def test_words_in_any_order_and_twice_end_in_the_same_books(order: list[int]) -> None:
    scene = sent()
    name = scene.order_id
    said: list[Word] = [
        state(name, _S.ACCEPTED),
        fill(name, "1", 400),
        fill(name, "2", 600),
        state(name, _S.FILLED, 1000),
    ]
    for index in order:
        scene.host.hear([said[index]])
    assert scene.held() == (Decimal("899.8"), Decimal(1))
    assert statuses(scene).count(_S.FILLED) == 1
    assert len(scene.of(FillEvent)) == 2


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_a_cancel_that_races_a_fill_ends_as_the_venue_says(order: tuple[int, ...]) -> None:
    scene = sent()
    name = scene.order_id
    words: list[Word] = [fill(name, "1", 300), state(name, _S.CANCELED, 300, OrderReason.CANCEL_REQUESTED)]
    scene.host.hear([words[index] for index in order])
    assert scene.held() == (Decimal("969.9"), Decimal("0.3"))
    assert not scene.system.oms.working


def test_a_trade_after_the_end_of_its_order_is_booked_and_told() -> None:
    scene = sent()
    name = scene.order_id
    scene.host.hear([state(name, _S.CANCELED), fill(name, "9", 100)])
    assert scene.held()[1] == Decimal("0.1")
    assert alerts(scene) == ["a trade came after its order's end"]
    assert scene.recorder.orders[0].fills[0].qty_lots == 100


def test_more_than_was_ordered_is_booked_on_the_owner_and_told() -> None:
    scene = sent()
    name = scene.order_id
    scene.host.hear([fill(name, "1", 1200)])
    owners = [each.strategy_id for each in scene.of(FillEvent) if isinstance(each, FillEvent)]
    assert owners == ["script", EXTERNAL_OWNER]
    assert scene.held() == (Decimal("879.9"), Decimal("1.2"))  # The fee once.
    assert "an order filled beyond its quantity" in alerts(scene)


def test_a_trade_by_hand_is_the_owners_and_in_the_books() -> None:
    scene = sent()
    scene.host.hear([ExternalFill(fill=fill("web_1", "5", 200), symbol="BTC/USDT", side=Side.SELL)])
    assert scene.held() == (Decimal("1019.9"), Decimal("-0.2"))
    assert scene.recorder.orders[-1].strategy_id == EXTERNAL_OWNER


def test_an_unknown_order_counts_until_evidence_ends_it() -> None:
    scene = sent()
    name = scene.order_id
    scene.host.hear([state(name, _S.UNKNOWN, reason=OrderReason.OUTCOME_UNKNOWN)])
    assert scene.system.gate.exposure.working_qty(0, Side.BUY) == 1
    with pytest.raises(OutcomeUnknown, match="outcome of"):
        scene.host.reconcile()
    scene.host.hear([state(name, _S.REJECTED, reason=OrderReason.NEVER_ARRIVED)])
    assert scene.system.gate.exposure.working_qty(0, Side.BUY) == 0
    scene.host.reconcile()


def test_what_contradicts_the_order_of_things_is_left_out_and_told() -> None:
    scene = sent()
    name = scene.order_id
    scene.host.hear([fill(name, "1", 400), state(name, _S.ACCEPTED), state(name, _S.REJECTED)])
    assert _S.REJECTED not in statuses(scene)
    assert alerts(scene) == ["the venue's word on an order contradicts its last one"]
    assert scene.system.oms.working.by_id[name].remaining_lots == 600


def test_a_deposit_and_a_withdrawal_are_followed_and_are_no_profit() -> None:
    scene = sent()
    exposure = scene.system.gate.exposure
    before = exposure.day_start_equity
    scene.host.hear([balances("1500", "0.25")])
    assert scene.held() == (Decimal(1500), Decimal("0.25"))
    assert before is not None
    assert scene.system.ledger.account.contributed == Decimal(525)
    assert exposure.day_start_equity == before + Decimal(500) + Decimal(25)
    scene.host.hear([balances("1400", "0")])
    assert scene.held() == (Decimal(1400), Decimal(0))
    assert scene.system.ledger.account.equity(exposure.mark_ticks) == exposure.day_start_equity
    assert scene.system.ledger.account.contributed == Decimal(400)
    assert len(scene.of(BalanceAdjusted)) == 4


def test_balances_that_agree_say_nothing() -> None:
    scene = sent()
    scene.host.hear([balances("1000", "0")])
    assert scene.of(BalanceAdjusted) == []


def test_a_holding_is_adopted_when_its_price_is_known() -> None:
    scene = LiveScene({})
    scene.start()
    scene.host.hear([balances("1000", "2")])
    assert scene.held()[1] == 0
    scene.bar(1, close=12_000)
    assert scene.held() == (Decimal(1000), Decimal(2))
    assert scene.system.ledger.account.position(0).cost == 240


def test_an_approval_that_has_grown_old_is_not_sent() -> None:
    scene = LiveScene({1: [buy()]})
    scene.start()
    scene.clock.advance_to(START_NS + NS_PER_MINUTE + 11 * NS_PER_S)  # The process was asleep.
    scene.bar(1)
    assert scene.venue.placed == []
    assert statuses(scene) == [_S.EXPIRED]


def test_timers_follow_the_clock() -> None:
    scene = sent(TimerSet(key="soon", due_ns=START_NS + 70 * NS_PER_S))
    scene.host.pass_time(START_NS + 69 * NS_PER_S)
    assert scene.of(TimerFired) == []
    scene.host.pass_time(START_NS + 71 * NS_PER_S)
    assert len(scene.of(TimerFired)) == 1


def test_a_session_run_again_sends_nothing_and_decides_the_same() -> None:
    first = LiveScene({1: [buy(400), buy(600)], 2: [TimerSet(key="t", due_ns=START_NS)], 3: [buy(100)]})
    first.start()
    first.bar(1)
    a, b = (each.client_order_id for each in first.venue.placed)
    first.host.hear([state(a, _S.ACCEPTED), fill(a, "1", 400), state(a, _S.FILLED, 400)])
    first.host.hear([state(b, _S.UNKNOWN)])
    first.bar(2)
    first.host.pass_time(first.clock.now_ns())
    first.bar(3)
    again = LiveScene({1: [buy(400), buy(600)], 2: [TimerSet(key="t", due_ns=START_NS)], 3: [buy(100)]})
    again.goes_on_from(first)
    assert [encode(each) for each in again.journal] == [encode(each) for each in first.journal]
    assert again.venue.placed == []
    assert again.host.words.orders.keys() == first.host.words.orders.keys()
    assert again.host.words.told_trades == first.host.words.told_trades


def test_after_a_restart_orders_without_an_answer_are_unknown() -> None:
    scene = sent()
    scene.host.begin()
    assert statuses(scene) == [_S.UNKNOWN]
    assert not set(statuses(scene)) & TERMINAL


def test_a_cancel_reaches_the_venue() -> None:
    scene = LiveScene({1: [buy(100, 9_000)]})
    scene.start()
    scene.bar(1)
    name = scene.order_id
    scene.by_bar[2] = [CancelIntent(client_order_id=name)]
    scene.bar(2)
    assert [each.client_order_id for each in scene.venue.canceled] == [name]


def test_the_gateway_forgets_an_order_with_its_end_and_not_before() -> None:
    scene = LiveScene({1: [buy(100, 9_000), buy(100, 9_001), buy(100, 9_002)]})
    scene.start()
    scene.bar(1)
    works, filled, refused = (each.client_order_id for each in scene.venue.placed)
    scene.host.hear([state(works, _S.ACCEPTED), state(filled, _S.ACCEPTED), fill(filled, "1", 100)])
    scene.host.hear([state(filled, _S.FILLED, 100), state(refused, _S.REJECTED)])
    for name in (works, filled, refused):
        scene.gateway.send(amend_event(name, qty_lots=50), scene.clock.now_ns())
    assert [each.client_order_id for each in scene.venue.amended] == [works]


def test_after_a_restart_an_order_that_rests_can_be_amended_and_one_that_has_ended_is_forgotten() -> None:
    script: dict[int, list[Proposal]] = {1: [buy(100, 9_000), buy(100, 9_001)]}
    first = LiveScene(dict(script))
    first.start()
    first.bar(1)
    rests, ended = (each.client_order_id for each in first.venue.placed)
    first.host.hear([state(rests, _S.ACCEPTED), state(ended, _S.CANCELED)])
    again = LiveScene(dict(script))
    again.goes_on_from(first)
    again.by_bar[2] = [AmendIntent(client_order_id=rests, qty_lots=50)]
    again.bar(2)
    again.gateway.send(amend_event(ended, qty_lots=50), again.clock.now_ns())
    assert [(each.client_order_id, each.qty_lots) for each in again.venue.amended] == [(rests, 50)]
    assert again.venue.placed == []
