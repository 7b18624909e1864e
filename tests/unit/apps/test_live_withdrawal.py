"""A dead node's orders are taken back under a tripped switch: canceled at once, waited for, and nothing else is sent."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from njord.adapters.kill_switch_watch import Reading
from njord.apps.live_withdrawal import Withdrawal, has_live_session
from njord.apps.stop import StopPolicy
from njord.core.contracts import OrderIntent, Proposal
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TradingState
from njord.venues.broker_wire import Health
from tests.unit.apps.live_world import LiveScene, buy, fill, state

HALTED = Reading(TradingState.HALTED, "file", "drill", "ann")
FLATTEN = Reading(TradingState.REDUCE_ONLY, "file", "drill", "ann", flattens=True)
KNOWN = Health(state=TradingState.ACTIVE, reason="")
READING = Health(state=TradingState.HALTED, reason="the venue's books are being read")


class Scene(LiveScene):
    """A session that goes on: it had sent one order when its node died, and its strategy wants one more with every bar."""

    def __init__(self, filled: int = 0) -> None:
        wishes: dict[int, list[Proposal]] = {1: [buy(limit=10_000)], 2: [buy(limit=9_000)], 3: [buy()]}
        super().__init__(wishes)
        self.start()
        self.bar(1)
        self.host.hear([state(self.order_id, OrderStatus.ACCEPTED)])
        if filled:
            self.host.hear([fill(self.order_id, "1", filled)])
        self.host.health = None  # The venue has not been asked in this life.

    def withdraw(self, tripped: Reading = HALTED) -> Withdrawal:
        """Begin to take orders back."""
        return Withdrawal(self.host, self.system, tripped, flatten_within_s=30.0, within_s=100.0)

    def canceled(self) -> None:
        """Let the venue end the order."""
        name = self.venue.placed[0].client_order_id
        self.host.hear([state(name, OrderStatus.CANCELED, reason=OrderReason.CANCEL_REQUESTED)])


def test_orders_are_canceled_at_the_first_look_and_nothing_is_placed_any_more() -> None:
    scene = Scene()
    withdrawal = scene.withdraw()
    assert (withdrawal.n_orders, withdrawal.has_work) == (1, True)
    assert not withdrawal.look(0.0)
    assert [each.client_order_id for each in scene.venue.canceled] == [scene.order_id]
    scene.host.hear([KNOWN])
    scene.bar(2)
    scene.bar(3)
    assert len(scene.venue.placed) == 1
    assert not withdrawal.look(1.0)
    scene.canceled()
    assert withdrawal.look(2.0)
    assert (withdrawal.n_left, withdrawal.n_orders) == (0, 1)
    assert withdrawal.reason == "the kill switch is halted, drill"


def test_it_is_not_over_before_the_venues_books_are_known() -> None:
    scene = Scene()
    withdrawal = scene.withdraw()
    withdrawal.look(0.0)
    scene.canceled()
    assert not withdrawal.look(1.0)
    scene.host.hear([READING])
    assert not withdrawal.look(2.0)
    scene.host.hear([KNOWN])
    assert withdrawal.look(3.0)


def test_orders_that_do_not_end_are_not_waited_for_for_ever() -> None:
    scene = Scene()
    withdrawal = scene.withdraw()
    withdrawal.look(5.0)
    assert not withdrawal.look(104.9)
    assert withdrawal.look(105.0)
    assert withdrawal.n_left == 1


def test_a_trip_that_flattens_closes_positions_once_the_books_are_known_and_no_order_works() -> None:
    scene = Scene(filled=400)
    withdrawal = scene.withdraw(FLATTEN)
    withdrawal.look(0.0)
    scene.host.hear([KNOWN])
    withdrawal.look(1.0)
    assert len(scene.venue.placed) == 1, "the order still works"
    scene.canceled()
    assert not withdrawal.look(2.0)
    closing = scene.venue.placed[-1]
    assert (closing.side, closing.qty_lots, closing.reduce_only) == (Side.SELL, 400, True)
    scene.bar(2)
    scene.bar(3)
    assert len(scene.venue.placed) == 2
    name = closing.client_order_id
    scene.host.hear([fill(name, "2", 400), state(name, OrderStatus.FILLED, 400)])
    assert withdrawal.look(3.0)
    assert scene.held()[1] == 0


def test_a_position_that_can_not_be_closed_is_not_waited_for_for_ever() -> None:
    scene = Scene(filled=400)
    withdrawal = scene.withdraw(FLATTEN)
    withdrawal.look(0.0)
    scene.host.hear([KNOWN])
    withdrawal.look(1.0)  # The order still works: closing has not begun.
    scene.canceled()
    assert not withdrawal.look(10.0)
    assert not withdrawal.look(39.9)
    assert withdrawal.look(40.0)
    assert withdrawal.has_work


def test_a_trip_that_spares_what_only_reduces_leaves_it_at_the_venue() -> None:
    scene = Scene(filled=400)
    scene.canceled()
    protects = OrderIntent(
        side=Side.SELL, type=OrderType.LIMIT, qty_lots=400, limit_price_ticks=11_000, reduce_only=True
    )
    scene.by_bar[2] = [protects, buy(limit=9_000)]
    scene.host.hear([KNOWN])
    scene.bar(2)
    stop, adds = (each.client_order_id for each in scene.venue.placed[-2:])
    scene.host.health = None
    withdrawal = scene.withdraw(replace(FLATTEN, flattens=False))
    assert (withdrawal.n_orders, withdrawal.n_left, withdrawal.n_spared) == (2, 1, 1)
    withdrawal.look(0.0)
    scene.host.hear([KNOWN])
    assert [each.client_order_id for each in scene.venue.canceled] == [adds]
    assert not withdrawal.look(1.0)
    scene.host.hear([state(adds, OrderStatus.CANCELED, reason=OrderReason.CANCEL_REQUESTED)])
    assert withdrawal.look(2.0)
    assert withdrawal.policy is StopPolicy.LEAVE
    assert [order.client_order_id for order in scene.system.oms.working] == [stop]


def test_the_switch_is_read_without_its_wish_to_flatten() -> None:
    class Tripped:
        def reading(self) -> Reading:
            return FLATTEN

    watch = Scene().withdraw(FLATTEN).watching(Tripped())
    assert (watch.reading().state, watch.reading().flattens) == (TradingState.REDUCE_ONLY, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"kind": "live"}', True),
        ('{"kind": "live", "journal_head": "ab"}', False),
        ('{"kind": "paper"}', False),
        ("{", True),
    ],
)
def test_a_live_session_that_has_not_ended_may_have_orders_at_the_venue(
    tmp_path: Path, text: str, found: bool
) -> None:
    assert not has_live_session(tmp_path)
    folder = tmp_path / "sessions" / "one"
    folder.mkdir(parents=True)
    (folder / "session.json").write_text(text)
    assert has_live_session(tmp_path) is found
