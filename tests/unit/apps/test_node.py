"""The node does what a backtest does, stops as it was told, and goes on where it stopped."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from njord.adapters.kill_switch_watch import Reading
from njord.apps.node import NodeOptions
from njord.apps.stop import StopPolicy
from njord.core.codec import decode
from njord.core.contracts import Alert, CancelEvent, KillSwitchState, Message, OrderEvent
from njord.core.errors import InvariantError, VenueUnavailable
from njord.core.types import Severity, TradingState
from njord.storage.journal_reader import scan
from tests.unit.apps.paper_world import (
    ACTIVE,
    TRIPPED,
    World,
    backtest,
    lines,
    make_world,
    open_session,
    run,
    state_of,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def controls(folder: Path) -> list[tuple[str, TradingState, bool, bool]]:
    words = [decode(line.message) for line in lines(folder / "journal")]
    return [
        (word.source, word.state, word.cancels, word.flattens)
        for word in words
        if isinstance(word, KillSwitchState)
    ]


@pytest.mark.parametrize("latency", ["0", "60000000000"])
def test_a_session_to_the_end_of_its_data_is_the_backtest_byte_for_byte(tmp_path: Path, latency: str) -> None:
    world = make_world(tmp_path, settings={"backtest.entry_latency_ns": latency})
    with world.prepared.market:
        expected_hash, expected = backtest(world)
        session = open_session(world)
        ended = run(session)
        assert (ended.reason, ended.finished, ended.left) == ("end of data", True, ())
        assert session.recorder.order_list_hash() == expected_hash
        assert len(session.recorder.fills) > 5
        assert lines(session.folder / "journal") == expected
        facts = msgspec.json.decode((session.folder / "session.json").read_bytes())
        state = scan(session.folder / "journal")
        assert state.is_complete
        assert (facts["journal_head"], facts["n_messages"]) == (state.head, state.last_seq)


@pytest.mark.parametrize("stop_at", [0, 1, 17, 25, 33, 55])
def test_a_stopped_session_that_leaves_everything_goes_on_to_the_backtests_end(
    world: World, stop_at: int
) -> None:
    expected_hash, expected = backtest(world)
    first = open_session(world)
    ended = run(first, stop_at=stop_at, options=NodeOptions(stop_policy=StopPolicy.LEAVE))
    assert (ended.reason, ended.finished) == ("signal SIGTERM", False)
    assert not scan(first.folder / "journal").has_end_mark
    second = open_session(world)
    assert second.resumed is not None
    assert second.n_rows == first.n_rows
    assert state_of(second) == state_of(first)
    assert len(second.told_refs) == (0 if stop_at else 1)
    assert run(second).finished
    assert second.folder == first.folder
    assert second.recorder.order_list_hash() == expected_hash
    own = [line.message for line in lines(second.folder / "journal") if b'"node"' not in line.message]
    assert own == [line.message for line in expected]
    own_words = [word for word in controls(second.folder) if word[0] == "node"]
    assert own_words == [
        ("node", TradingState.HALTED, False, False),
        ("node", TradingState.ACTIVE, False, False),
    ]


def test_the_stop_policy_leave_lists_what_is_left_and_cancel_leaves_no_order(world: World) -> None:
    ended = run(open_session(world), stop_at=16, options=NodeOptions(stop_policy=StopPolicy.LEAVE))
    assert [(left.order.side, left.order.price, left.order.remaining) for left in ended.left] != []
    assert "the stop policy is leave" in ended.left[0].why
    assert "the stop policy is leave" in ended.positions[0].why
    session = open_session(world, fresh=True)
    ended = run(session, stop_at=16, options=NodeOptions(stop_policy=StopPolicy.CANCEL))
    assert ended.left == ()
    assert [position.position.qty for position in ended.positions] != []
    assert session.n_rows == 16
    assert controls(session.folder)[-1] == ("node", TradingState.HALTED, True, False)
    assert decode(lines(session.folder / "journal")[-1].message).ts_ns == session.host.now_ns


def test_the_stop_policy_flatten_goes_on_until_nothing_is_held(world: World) -> None:
    session = open_session(world)
    ended = run(session, stop_at=17, options=NodeOptions(stop_policy=StopPolicy.FLATTEN))
    assert (ended.left, ended.positions) == ((), ())
    assert session.n_rows == 18  # The closing order fills with the next bar.
    assert controls(session.folder)[-1] == ("node", TradingState.REDUCE_ONLY, True, True)
    again = open_session(world)
    assert again.resumed is not None
    assert run(again).finished
    assert again.recorder.orders[-1].ts_ns > again.recorder.orders[3].ts_ns


def test_a_stop_waits_for_cancels_that_are_on_their_way(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings={"backtest.entry_latency_ns": "60000000000"})
    with world.prepared.market:
        session = open_session(world)
        ended = run(session, stop_at=16, options=NodeOptions(stop_policy=StopPolicy.CANCEL))
    assert ended.left == ()
    assert session.n_rows > 16


def test_an_order_that_can_not_be_canceled_in_time_is_listed_with_the_reason(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings={"backtest.entry_latency_ns": "60000000000"})
    with world.prepared.market:
        options = NodeOptions(stop_policy=StopPolicy.CANCEL, stop_within_s=0)
        ended = run(open_session(world), stop_at=17, options=options)
    assert [left.why for left in ended.left] != []
    assert "its cancel is on its way" in ended.left[0].why


def test_a_trip_is_told_before_the_next_message_and_a_clearing_too(world: World) -> None:
    heard: list[Message] = []

    def reading_at(row: int) -> Reading:
        return TRIPPED if 15 <= row < 30 else ACTIVE

    session = open_session(world)
    assert run(session, reading_at=reading_at, heard=heard).finished
    bars = [message for message in heard if hasattr(message, "ts_open_ns")]
    words = [message for message in heard if isinstance(message, KillSwitchState)]
    assert [(word.source, word.state) for word in words] == [
        ("kill_switch", TradingState.HALTED),
        ("kill_switch", TradingState.ACTIVE),
        ("host", TradingState.HALTED),
    ]
    tripped, cleared = heard.index(words[0]), heard.index(words[1])
    assert (heard.index(bars[14]) < tripped < heard.index(bars[15])) and (
        heard.index(bars[29]) < cleared < heard.index(bars[30])
    )
    assert (words[0].reason, words[0].operator) == ("drill", "ann")
    between = heard[tripped:cleared]
    assert [message for message in between if isinstance(message, CancelEvent)] != []
    assert [message for message in between if isinstance(message, OrderEvent)] == []


def test_a_trip_that_flattens_closes_what_is_held_and_then_lets_only_cancels_pass(world: World) -> None:
    flatten = Reading(TradingState.REDUCE_ONLY, "file", "drill", "ann", flattens=True)
    session = open_session(world)
    ended = run(session, reading_at=lambda row: flatten if row >= 17 else ACTIVE)
    assert ended.positions == ()
    assert [word for word in controls(session.folder) if word[0] == "kill_switch"] == [
        ("kill_switch", TradingState.REDUCE_ONLY, True, True),
        ("kill_switch", TradingState.HALTED, True, False),
    ]
    assert b"drill (flat)" in b"".join(line.message for line in lines(session.folder / "journal"))


def test_a_switch_is_not_cleared_while_books_and_venue_disagree(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(world)
    heard: list[Message] = []

    def disagree() -> None:
        if 30 <= session.n_rows < 40:
            raise InvariantError("our books say 1, the venue says 2")

    monkeypatch.setattr(session.host, "reconcile", disagree)
    run(session, reading_at=lambda row: TRIPPED if 15 <= row < 30 else ACTIVE, heard=heard)
    alerts = [message for message in heard if isinstance(message, Alert)]
    assert [(alert.category, alert.message) for alert in alerts] == [
        ("killswitch", "our books say 1, the venue says 2")
    ]
    bars = [message for message in heard if hasattr(message, "ts_open_ns")]
    (cleared,) = (
        number
        for number, message in enumerate(heard)
        if isinstance(message, KillSwitchState) and message.state is TradingState.ACTIVE
    )
    assert heard.index(bars[39]) < cleared < heard.index(bars[40])


def test_a_switch_that_was_cleared_waits_for_a_venue_that_was_not_asked_yet_and_is_no_emergency(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(world)
    heard: list[Message] = []

    def not_asked() -> None:
        if 30 <= session.n_rows < 33:
            raise VenueUnavailable("it has not been asked yet")
        if 33 <= session.n_rows < 35:
            raise InvariantError("our books say 1, the venue says 2")

    monkeypatch.setattr(session.host, "reconcile", not_asked)
    run(session, reading_at=lambda row: TRIPPED if 15 <= row < 30 else ACTIVE, heard=heard)
    alerts = [message for message in heard if isinstance(message, Alert)]
    assert [(alert.severity, alert.title.partition("stays tripped: ")[2]) for alert in alerts] == [
        (Severity.INFO, "the venue's books are not known yet"),
        (Severity.CRITICAL, "books and venue disagree"),
    ]
    assert ("kill_switch", TradingState.ACTIVE, False, False) in controls(session.folder)


def test_a_session_that_goes_on_tells_a_trip_that_lasts_only_once(world: World) -> None:
    session = open_session(world)
    run(session, reading_at=lambda row: TRIPPED if row >= 15 else ACTIVE, stop_at=20)
    again = open_session(world)
    run(again, reading_at=lambda row: TRIPPED)
    told = [word for word in controls(again.folder) if word[0] == "kill_switch"]
    assert told == [("kill_switch", TradingState.HALTED, True, False)]


def test_of_two_strategies_one_that_raises_is_suspended_and_the_other_goes_on(tmp_path: Path) -> None:
    strategies = (f"one={tmp_path / 'busy.py'}", f"two={tmp_path / 'busy.py'}")
    world = make_world(tmp_path, strategies=strategies, params=("one.raises_at=20",))
    with world.prepared.market:
        session = open_session(world)
        ended = run(session)
    assert (ended.reason, ended.strategy_failed) == ("end of data", False)
    assert [each.strategy_id for each in session.recorder.suspended] == ["one"]
    assert max(order.ts_ns for order in session.recorder.orders) > session.recorder.suspended[0].ts_ns


def test_a_session_whose_strategies_all_raised_stops_by_its_policy_and_stays_stopped(tmp_path: Path) -> None:
    world = make_world(tmp_path, params=("raises_at=16",))
    with world.prepared.market:
        session = open_session(world)
        ended = run(session)
        assert ended.reason.startswith("strategy failed: busy.py:")
        assert (ended.finished, ended.strategy_failed, ended.left) == (False, True, ())
        assert session.n_rows == 16
        again = open_session(world)
        assert run(again).reason == ended.reason
        assert again.n_rows == 16


def test_a_signal_while_a_failed_strategy_s_orders_end_does_not_hide_the_failure(tmp_path: Path) -> None:
    settings = {"backtest.entry_latency_ns": "60000000000"}
    world = make_world(tmp_path, params=("raises_at=16",), settings=settings)
    with world.prepared.market:
        session = open_session(world)
        ended = run(session, stop_at=17)
    assert session.n_rows >= 17
    assert ended.reason.startswith("strategy failed: busy.py:")
    assert ended.strategy_failed


def test_the_status_is_a_picture_of_the_session(world: World) -> None:
    from njord.apps.node import PaperNode
    from tests.unit.apps.paper_world import PiecesFeed, SwitchByRow

    session = open_session(world)
    run(session, stop_at=16, options=NodeOptions(stop_policy=StopPolicy.LEAVE))
    again = open_session(world)
    node = PaperNode(again, PiecesFeed(world.prepared.market), SwitchByRow(again), NodeOptions(speed=60))
    status = node.status
    again.close(finished=False)
    account = again.system.ledger.account
    assert (status.session, status.n_rows, status.n_rows_total) == (session.name, 16, 56)
    assert (status.cash, status.equity) == (account.cash, account.equity(again.system.ledger.mark_ticks))
    assert (status.kill, status.kill_reason) == (TradingState.HALTED, "signal SIGTERM")
    assert [line.strategy_id for line in status.positions] == ["busy"]
    assert [(line.side.value, line.remaining) for line in status.working] != []
    assert [symbol for symbol, _ in status.prices] == ["ETH/USDT"]
    assert (status.n_orders, status.n_fills) == (len(session.recorder.orders), len(session.recorder.fills))
