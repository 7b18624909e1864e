"""Faults in live market data are told at once, with the place; sound data are silent."""

import pytest

from njord.core.contracts import Bar, BookEvent, DataGap, Message, TimerFired, TimerSet, TradeEvent
from njord.core.errors import InvariantError
from njord.core.types import Side
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.data.quality import RECENT_IDS, QualityMonitor

Told = tuple[str, int, int, int]  # Check, from, to, how many are missing.


def feed(monitor: QualityMonitor, *messages: Message) -> list[Message]:
    made: list[Message] = []
    for message in messages:
        made += monitor.handlers()[type(message)](message) or []
    return made


def told(made: list[Message]) -> list[Told]:
    return [(gap.check, gap.from_ns, gap.to_ns, gap.n_missing) for gap in made if isinstance(gap, DataGap)]


def bar(minute: float, instrument: int = 0) -> Bar:
    open_ns = int(minute * NS_PER_MINUTE)
    return Bar(
        ts_ns=open_ns + NS_PER_MINUTE,
        ts_open_ns=open_ns,
        instrument=instrument,
        open=1,
        high=1,
        low=1,
        close=1,
    )


def trade(ts_ns: int, trade_id: int, venue_ns: int | None = None, instrument: int = 0) -> TradeEvent:
    return TradeEvent(
        ts_ns=ts_ns,
        ts_venue_ns=ts_ns if venue_ns is None else venue_ns,
        instrument=instrument,
        price_ticks=5,
        qty_lots=5,
        side=Side.BUY,
        trade_id=trade_id,
    )


def event(ts_ns: int, first: int, last: int, is_snapshot: bool = False) -> BookEvent:
    return BookEvent(
        ts_ns=ts_ns,
        ts_venue_ns=ts_ns,
        instrument=0,
        bids=(),
        asks=(),
        is_snapshot=is_snapshot,
        first_update_id=first,
        last_update_id=last,
    )


def test_sound_data_are_silent() -> None:
    monitor = QualityMonitor(2, interval_ns=NS_PER_MINUTE)
    assert feed(monitor, *(bar(minute) for minute in range(5)), bar(9, instrument=1)) == []
    assert feed(monitor, *(trade(100 + i, 7 + i) for i in range(5)), trade(1, 900, instrument=1)) == []
    assert feed(monitor, event(1, 5, 5, True), event(2, 3, 8), event(3, 9, 9), event(4, 5, 5, True)) == []


@pytest.mark.parametrize(
    ("minute", "expected"),
    [
        (3, ("missing_bars", 2 * NS_PER_MINUTE, 3 * NS_PER_MINUTE, 1)),
        (61, ("missing_bars", 2 * NS_PER_MINUTE, 61 * NS_PER_MINUTE, 59)),
        (2.5, ("off_schedule", 2 * NS_PER_MINUTE, int(2.5 * NS_PER_MINUTE), 0)),
        (1.5, ("off_schedule", int(1.5 * NS_PER_MINUTE), 2 * NS_PER_MINUTE, 0)),
        (1, ("duplicates", NS_PER_MINUTE, NS_PER_MINUTE, 0)),
        (0, ("out_of_order", 0, NS_PER_MINUTE, 0)),
    ],
)
def test_a_bar_that_is_not_the_next_one_is_told(minute: float, expected: Told) -> None:
    monitor = QualityMonitor(1, interval_ns=NS_PER_MINUTE)
    made = feed(monitor, bar(0), bar(1), bar(minute))
    assert told(made) == [expected]
    assert made[0].ts_ns == int(minute * NS_PER_MINUTE) + NS_PER_MINUTE


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (trade(50, 13), [("missing_ids", 40, 50, 2)]),
        (trade(50, 12), [("missing_ids", 40, 50, 1)]),
        (trade(50, 10), [("duplicates", 50, 50, 0)]),
        (trade(50, 4), [("id_disorder", 50, 50, 0)]),
        (trade(50, 11, venue_ns=30), [("venue_disorder", 30, 40, 0)]),
        (trade(50, 0), []),
    ],
)
def test_a_trade_that_is_not_the_next_one_is_told(late: TradeEvent, expected: list[Told]) -> None:
    monitor = QualityMonitor(1)
    assert told(feed(monitor, trade(30, 9), trade(40, 10), late)) == expected


def test_ids_of_another_kind_tell_nothing_missing() -> None:
    monitor = QualityMonitor(1, ids_are_consecutive=False)
    assert feed(monitor, trade(30, 9), trade(40, 100), trade(50, 1_000)) == []
    assert told(feed(monitor, trade(60, 100))) == [("duplicates", 60, 60, 0)]


def test_a_repetition_is_known_among_the_recent_ids_and_older_ones_are_disorder() -> None:
    monitor = QualityMonitor(1)
    feed(monitor, *(trade(i, i) for i in range(1, 3 * RECENT_IDS)))
    assert told(feed(monitor, trade(9_000, 3 * RECENT_IDS - 100)))[0][0] == "duplicates"
    assert told(feed(monitor, trade(9_001, 50)))[0][0] == "id_disorder"
    assert len(monitor.snapshot()) < 10 * RECENT_IDS


def test_a_hole_in_the_books_sequence_is_told_and_a_snapshot_does_not_hide_it() -> None:
    monitor = QualityMonitor(1)
    made = feed(
        monitor,
        event(10, 1, 4),
        event(20, 8, 9),
        event(30, 12, 12, True),
        event(40, 13, 14),
        event(50, 9, 14),
    )
    assert told(made) == [
        ("sequence_holes", 10, 20, 3),
        ("sequence_holes", 30, 40, 3),
        ("id_disorder", 50, 50, 0),
    ]


def test_silence_is_told_by_a_timer_and_again_when_it_is_over() -> None:
    monitor = QualityMonitor(1, silence_ns=10 * NS_PER_S)
    (timer,) = feed(monitor, trade(NS_PER_S, 1))
    assert isinstance(timer, TimerSet)
    assert (timer.key, timer.due_ns) == ("quality/trades", 11 * NS_PER_S)
    assert feed(monitor, trade(6 * NS_PER_S, 2)) == []

    def fired(due_s: int) -> TimerFired:
        return TimerFired(
            ts_ns=due_s * NS_PER_S, strategy_id="", instrument=0, key=timer.key, due_ns=due_s * NS_PER_S
        )

    (again,) = feed(monitor, fired(11))
    assert isinstance(again, TimerSet) and again.due_ns == 16 * NS_PER_S
    assert feed(monitor, fired(11)) == []
    assert told(feed(monitor, fired(16))) == [("silences", 6 * NS_PER_S, 16 * NS_PER_S, 0)]
    over = feed(monitor, trade(40 * NS_PER_S, 3))
    assert told(over) == [("silences", 6 * NS_PER_S, 40 * NS_PER_S, 0)]
    assert isinstance(over[-1], TimerSet) and over[-1].due_ns == 50 * NS_PER_S


def test_timers_of_others_are_left_alone() -> None:
    monitor = QualityMonitor(1, silence_ns=10)
    feed(monitor, trade(1, 1))
    for key, strategy_id in (("quality/", ""), ("trades", ""), ("bars/1m", ""), ("quality/trades", "mine")):
        fired = TimerFired(ts_ns=11, strategy_id=strategy_id, instrument=0, key=key, due_ns=11)
        assert feed(monitor, fired) == []


def test_a_monitor_goes_on_from_a_snapshot_of_its_own_settings_only() -> None:
    monitor = QualityMonitor(1, interval_ns=NS_PER_MINUTE, silence_ns=10**12)
    feed(monitor, bar(0), trade(5, 10), event(6, 1, 2))
    other = QualityMonitor(1, interval_ns=NS_PER_MINUTE, silence_ns=10**12)
    other.restore(monitor.snapshot())
    following = (bar(2), trade(7, 12), event(8, 5, 5))
    assert feed(other, *following) == feed(monitor, *following)
    assert other.snapshot() == monitor.snapshot()
    with pytest.raises(InvariantError, match="can not go on as"):
        QualityMonitor(2).restore(monitor.snapshot())


def test_settings_without_meaning_are_refused() -> None:
    for n, interval_ns, silence_ns in ((0, 0, 0), (1, -1, 0), (1, 0, -1)):
        with pytest.raises(ValueError, match="must be >= 1"):
            QualityMonitor(n, interval_ns=interval_ns, silence_ns=silence_ns)
