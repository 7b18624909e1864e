"""What the engine is told of a live market: bars that equal a fold of the trades, honest stamps, time that never falls."""

from collections.abc import Sequence

from njord.core.contracts import Bar, DataGap, Message, TradeEvent
from njord.venues.feed_rows import FeedTrade
from njord.venues.feed_stream import Missing
from njord.venues.feed_tape import LATENESS_NS, ON_TIME_NS, WAIT_NS, LiveTape

MINUTE = 60 * 10**9
SECOND = 10**9
START = 1_700_000_040 * SECOND


def row(trade_id: int, after_ns: int, price: int = 100, lots: int = 1) -> FeedTrade:
    return FeedTrade(trade_id, START + after_ns, 1, price, lots, True)


def bar(n: int, close: int, instrument: int = 0) -> Bar:
    open_ns = START + n * MINUTE
    return Bar(
        ts_ns=open_ns + MINUTE,
        instrument=instrument,
        ts_open_ns=open_ns,
        open=close,
        high=close,
        low=close,
        close=close,
    )


def bars(messages: Sequence[Message]) -> list[Bar]:
    return [message for message in messages if isinstance(message, Bar)]


def begun(n: int = 1) -> LiveTape:
    tape = LiveTape(n, MINUTE)
    tape.history([bar(-1, 90, index) for index in range(n)], START)
    return tape


def test_a_bar_is_told_at_its_end_and_before_the_trades_that_waited_for_it() -> None:
    tape = begun()
    tape.add(0, [row(1, 5 * SECOND, 100), row(2, 40 * SECOND, 103)], START + 40 * SECOND)
    assert len(tape.take(START + 41 * SECOND, [True])) == 2
    tape.add(0, [row(3, MINUTE - 1, 101)], START + MINUTE + 50_000_000)
    tape.add(0, [row(4, MINUTE + 1, 110)], START + MINUTE + 90_000_000)
    assert tape.take(START + MINUTE + 100_000_000, [True]) == []
    told = tape.take(START + MINUTE + LATENESS_NS, [True])
    assert [type(message) for message in told] == [Bar, TradeEvent, TradeEvent]
    (finished,) = bars(told)
    assert (finished.open, finished.high, finished.low, finished.close, finished.volume_lots) == (
        100,
        103,
        100,
        101,
        3,
    )
    assert finished.ts_ns == finished.ts_open_ns + MINUTE == START + MINUTE
    assert [message.ts_ns for message in told] == sorted(message.ts_ns for message in told)


def test_a_silent_minute_is_a_flat_bar_at_the_last_close() -> None:
    tape = begun()
    told = tape.take(START + MINUTE + LATENESS_NS, [True])
    (flat,) = bars(told)
    assert (flat.open, flat.close, flat.volume_lots, flat.ts_ns) == (90, 90, 0, START + MINUTE)


def test_no_timer_ends_a_bar_while_trades_are_missing_and_it_is_stamped_when_it_is_known() -> None:
    tape = begun()
    tape.add(0, [row(1, 5 * SECOND, 100)], START + 5 * SECOND)
    tape.take(START + 6 * SECOND, [True])
    assert tape.take(START + MINUTE + ON_TIME_NS + 1, [False]) == []
    known_ns = START + MINUTE + 30 * SECOND
    tape.add(0, [row(2, 50 * SECOND, 120), row(3, MINUTE + 5 * SECOND, 130)], known_ns)
    told = tape.take(known_ns, [True])
    (late,) = bars(told)
    assert (late.high, late.volume_lots) == (120, 2), "the trades that came late are in it"
    assert late.ts_ns == known_ns
    assert [type(message) for message in told] == [TradeEvent, TradeEvent, Bar]


def test_after_an_outage_of_minutes_every_bar_comes_and_none_pretends_to_have_been_known() -> None:
    tape = begun()
    tape.take(START + SECOND, [True])
    known_ns = START + 5 * MINUTE + 20 * SECOND
    tape.add(0, [row(1, 10 * SECOND, 100), row(2, 3 * MINUTE + SECOND, 105)], known_ns)
    told = bars(tape.take(known_ns, [True]))
    assert [each.ts_open_ns for each in told] == [START + n * MINUTE for n in range(5)]
    assert [each.close for each in told] == [100, 100, 100, 105, 105]
    assert {each.ts_ns for each in told} == {known_ns}


def test_a_bar_in_time_does_not_overtake_the_late_ones_before_it() -> None:
    tape = begun()
    tape.add(0, [row(1, 10 * SECOND, 100), row(2, MINUTE + SECOND, 105)], START + 2 * MINUTE)
    told = bars(tape.take(START + 2 * MINUTE + LATENESS_NS, [True]))
    assert [each.ts_open_ns for each in told] == [START, START + MINUTE]
    assert {each.ts_ns for each in told} == {START + 2 * MINUTE + LATENESS_NS}


def test_one_market_in_trouble_holds_up_the_other_no_longer_than_it_may() -> None:
    tape = begun(2)
    tape.add(0, [row(1, MINUTE + SECOND // 10)], START + MINUTE + SECOND // 10)
    assert tape.take(START + MINUTE + LATENESS_NS, [True, False]) == []
    told = tape.take(START + MINUTE + WAIT_NS, [True, False])
    assert [(type(message), message.ts_ns) for message in told] == [
        (Bar, START + MINUTE),
        (TradeEvent, START + MINUTE + SECOND // 10),
    ]
    late = bars(tape.take(START + MINUTE + ON_TIME_NS, [True, True]))
    assert [(each.instrument, each.ts_ns) for each in late] == [(1, START + MINUTE + ON_TIME_NS)]
    both = begun(2)
    in_time = bars(both.take(START + MINUTE + LATENESS_NS, [True, True]))
    assert [(each.instrument, each.ts_ns) for each in in_time] == [(0, START + MINUTE), (1, START + MINUTE)]


def test_history_is_known_when_it_is_told() -> None:
    tape = LiveTape(1, MINUTE)
    now_ns = START + 37 * SECOND
    told = tape.history([bar(-2, 80), bar(-1, 90)], now_ns)
    assert [(each.ts_ns, each.ts_open_ns) for each in bars(told)] == [
        (now_ns, START - 2 * MINUTE),
        (now_ns, START - MINUTE),
    ]


def test_the_first_live_bar_is_whole_though_some_of_its_trades_were_told_before() -> None:
    tape = LiveTape(1, MINUTE, told_until_ns=START + 10 * SECOND)
    tape.follow(bar(-1, 90))
    tape.only_build_until(0, 2)
    tape.add(0, [row(1, SECOND, 70), row(2, 2 * SECOND, 80), row(3, 30 * SECOND, 95)], START + 31 * SECOND)
    told = tape.take(START + 31 * SECOND, [True])
    assert [message.trade_id for message in told if isinstance(message, TradeEvent)] == [3]
    (whole,) = bars(tape.take(START + MINUTE + LATENESS_NS, [True]))
    assert (whole.open, whole.low, whole.close, whole.volume_lots) == (70, 70, 95, 3)


def test_time_never_falls_even_if_the_clock_is_set_back() -> None:
    tape = begun()
    tape.add(0, [row(1, 30 * SECOND)], START + 30 * SECOND)
    first = tape.take(START + 30 * SECOND, [True])
    tape.add(0, [row(2, 31 * SECOND)], START + 10 * SECOND)
    second = tape.take(START + 10 * SECOND, [True])
    assert second[0].ts_ns == first[0].ts_ns == START + 30 * SECOND


def test_what_will_not_come_is_told_as_a_gap_in_its_place() -> None:
    tape = begun()
    tape.add(
        0,
        [row(1, SECOND), Missing(2, 5, START + SECOND, START + 9 * SECOND), row(5, 9 * SECOND)],
        START + 10 * SECOND,
    )
    told = tape.take(START + 10 * SECOND, [True])
    assert [type(message) for message in told] == [TradeEvent, DataGap, TradeEvent]
    gap = told[1]
    assert isinstance(gap, DataGap)
    assert (gap.check, gap.n_missing, gap.detail) == ("missing_ids", 3, "ids 2 to 4")


def test_it_says_when_it_wants_to_be_asked_again() -> None:
    tape = begun()
    assert tape.due_ns(START + SECOND // 2) == START + WAIT_NS
    assert tape.due_ns(START + 30 * SECOND) == START + MINUTE + LATENESS_NS
    assert tape.due_ns(START + MINUTE) == START + MINUTE + LATENESS_NS
