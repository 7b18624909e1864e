"""What a live host remembers of an amended order: what holds, what may fill, and which legs a restart must ask for."""

import pytest
from msgspec.structs import replace

from njord.apps.live_memory import known_orders
from njord.core.contracts import EXTERNAL_OWNER, Alert, AmendIntent, BrokerOrderUpdate, FillEvent
from njord.core.types import OrderReason, OrderStatus
from njord.venues.broker_wire import Amendment, KnownOrder
from tests.unit.apps.live_world import BTC, LiveScene, buy, fill, state

_S, _R = OrderStatus, OrderReason


def holds(
    name: str, reason: OrderReason, lots: int, limit: int, filled: int, order_id: str
) -> BrokerOrderUpdate:
    """Return the venue's answer to an amendment."""
    word = state(name, _S.PARTIALLY_FILLED if filled else _S.ACCEPTED, filled, reason)
    return replace(word, qty_lots=lots, limit_price_ticks=limit, venue_order_id=order_id)


def amended(*amendments: AmendIntent) -> LiveScene:
    """Return a scene with an order of 1,000 lots at 99.00, of which 400 have filled, and its amendments under way."""
    scene = LiveScene({1: [buy(limit=9900)]})
    scene.start()
    scene.bar(1)
    name = scene.order_id
    scene.host.hear([state(name, _S.ACCEPTED), fill(name, "1", 400, price=9900)])
    scene.by_bar[2] = [replace(each, client_order_id=name) for each in amendments]
    scene.bar(2)
    assert len(scene.venue.amended) == len(amendments)
    return scene


def known(scene: LiveScene) -> KnownOrder:
    (order,) = known_orders(scene.host, [BTC])
    return order


def amendment(lots: int = 0, limit: int = 0) -> AmendIntent:
    return AmendIntent(client_order_id="", qty_lots=lots, limit_price_ticks=limit)


def test_an_answer_begins_a_leg_of_what_is_left() -> None:
    scene = amended(amendment(lots=1500, limit=9800))
    name = scene.order_id
    scene.host.hear([holds(name, _R.AMENDED, 1500, 9800, 400, "78"), fill(name, "2", 100, price=9800)])
    order = known(scene)
    assert (order.req.qty_lots, order.req.limit_price_ticks, order.req.client_order_id) == (1500, 9800, name)
    first, second = order.legs
    assert (first.revision, first.qty_lots, first.venue_order_id, first.trade_ids) == (0, 1000, "77", ("1",))
    assert (second.revision, second.qty_lots, second.venue_order_id, second.trade_ids) == (
        1,
        1100,
        "78",
        ("2",),
    )
    assert (order.n_amendments, order.amendments, order.has_ended) == (1, (), False)
    (working,) = scene.system.oms.working
    assert (working.qty_lots, working.remaining_lots) == (1500, 1000)


def test_what_was_not_answered_is_asked_for_after_a_restart() -> None:
    scene = amended(amendment(lots=1500), amendment(limit=9700))
    name = scene.order_id
    scene.host.hear([holds(name, _R.AMEND_REFUSED, 1000, 9900, 400, "77")])
    again = LiveScene(scene.by_bar)
    again.goes_on_from(scene)
    order = known(again)
    assert order.amendments == (
        Amendment(revision=2, qty_lots=0, limit_price_ticks=9700, trigger_price_ticks=0, is_of_before=True),
    )
    assert order.n_amendments == 2
    assert [leg.revision for leg in order.legs] == [0]
    assert known(scene) == order
    again.host.hear([holds(name, _R.AMENDED, 1000, 9700, 400, "79")])
    assert [(leg.revision, leg.qty_lots) for leg in known(again).legs] == [(0, 1000), (2, 600)]


@pytest.mark.parametrize("is_answered", [False, True])
def test_lots_that_an_amendment_allows_are_the_orders(is_answered: bool) -> None:
    scene = amended(amendment(lots=1500))
    name = scene.order_id
    if is_answered:
        scene.host.hear([holds(name, _R.AMENDED, 1500, 9900, 400, "78")])
    scene.host.hear([fill(name, "2", 1100, price=9900)])
    owners = [each.strategy_id for each in scene.of(FillEvent) if isinstance(each, FillEvent)]
    assert owners == ["script", "script"]
    assert scene.of(Alert) == []


def test_lots_beyond_an_amendment_that_was_made_are_the_owners() -> None:
    scene = amended(amendment(lots=500))
    name = scene.order_id
    scene.host.hear([holds(name, _R.AMENDED, 500, 9900, 400, "78"), fill(name, "2", 300, price=9900)])
    fills = [(each.strategy_id, each.qty_lots) for each in scene.of(FillEvent) if isinstance(each, FillEvent)]
    assert fills == [("script", 400), ("script", 100), (EXTERNAL_OWNER, 200)]
