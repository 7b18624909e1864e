"""The reducer of a live trade stream: each trade once, in the order of ids, whatever the wire does."""

from random import Random

import pytest

from njord.venues.feed_rows import FeedTrade
from njord.venues.feed_stream import ANSWERS, FIRST_WAIT_NS, GRACE_NS, PAGE_ROWS, Missing, TradeStream

NOW = 1_700_000_000_000_000_000


def trade(trade_id: int, **changed: int) -> FeedTrade:
    ts_venue_ns = changed.get("ts_venue_ns", NOW - 10**9 + trade_id)
    return FeedTrade(trade_id, ts_venue_ns, 1, changed.get("price_ticks", 100 + trade_id), 5, True)


def trades(*ids: int) -> list[FeedTrade]:
    return [trade(trade_id) for trade_id in ids]


def ids(rows: list[FeedTrade | Missing]) -> list[int]:
    return [row.trade_id for row in rows if isinstance(row, FeedTrade)]


def caught_up(first_id: int = 1, pending_max: int = 100) -> TradeStream:
    stream = TradeStream(first_id, pending_max)
    stream.answered((first_id, first_id + PAGE_ROWS), [], NOW)
    assert stream.is_whole
    return stream


def test_trades_in_order_pass_at_once() -> None:
    stream = caught_up()
    assert ids(stream.received(trades(1, 2, 3), NOW)) == [1, 2, 3]
    assert stream.is_whole and stream.wanted(NOW) is None


def test_a_trade_passes_once_however_often_and_however_late_it_comes_again() -> None:
    stream = caught_up()
    stream.received(trades(*range(1, 5001)), NOW)
    assert stream.received(trades(5000, 1, 2500), NOW) == []
    stream.interrupted()
    assert stream.received(trades(4999), NOW) == []
    assert stream.counts.n_duplicates == 4


def test_disorder_within_the_grace_is_put_in_order_without_asking() -> None:
    stream = caught_up()
    assert stream.received(trades(3, 2), NOW) == []
    assert stream.wanted(NOW + GRACE_NS - 1) is None
    assert ids(stream.received(trades(1), NOW)) == [1, 2, 3]
    assert stream.wanted(NOW + GRACE_NS) is None
    assert stream.counts.n_early == 2


def test_nothing_passes_a_hole_until_the_record_has_filled_it() -> None:
    stream = caught_up()
    stream.received(trades(1), NOW)
    assert stream.received(trades(5, 6), NOW) == []
    assert not stream.is_whole
    assert stream.wanted(NOW + GRACE_NS) == (2, 5)
    assert ids(stream.answered((2, 5), trades(2, 3, 4), NOW)) == [2, 3, 4, 5, 6]
    assert stream.wanted(NOW + GRACE_NS) is None
    assert stream.counts.n_backfilled == 3


def test_after_an_interruption_the_record_is_asked_even_if_no_trade_follows() -> None:
    stream = caught_up()
    stream.received(trades(1), NOW)
    stream.interrupted()
    assert stream.wanted(NOW) == (2, 2 + PAGE_ROWS)
    assert ids(stream.answered((2, 2 + PAGE_ROWS), trades(2, 3), NOW)) == [2, 3]
    assert stream.is_whole


def test_a_full_page_is_followed_by_the_next() -> None:
    stream = TradeStream(1)
    page = trades(*range(1, PAGE_ROWS + 1))
    stream.answered((1, 1 + PAGE_ROWS), page, NOW)
    assert stream.wanted(NOW) == (1 + PAGE_ROWS, 1 + 2 * PAGE_ROWS) and not stream.is_whole


def test_ids_that_the_record_leaves_out_are_believed_missing_after_several_answers() -> None:
    stream = caught_up()
    stream.received(trades(1, 4), NOW)
    now = NOW + GRACE_NS
    for _ in range(ANSWERS - 1):
        assert stream.answered((2, 5), trades(4), now) == []
        assert stream.wanted(now) is None, "it waits before it asks again"
        now += 10**10
        assert stream.wanted(now) == (2, 4)
    (missing, after) = stream.answered((2, 5), trades(4), now)
    assert missing == Missing(2, 4, trade(1).ts_venue_ns, trade(4).ts_venue_ns)
    assert ids([after]) == [4]
    assert stream.counts.n_missing == 2


def test_several_holes_of_one_answer_are_told_one_by_one() -> None:
    stream = TradeStream(1)
    for _ in range(ANSWERS):
        told = stream.answered((1, 1 + PAGE_ROWS), trades(2, 3, 7), NOW)
    assert [type(row).__name__ for row in told] == [
        "Missing",
        "FeedTrade",
        "FeedTrade",
        "Missing",
        "FeedTrade",
    ]
    assert stream.counts.n_missing == 4


def test_an_id_that_the_record_never_knew_does_not_make_all_later_trades_old() -> None:
    stream = caught_up()
    stream.received(trades(1), NOW)
    stream.received([trade(2**63 - 1, ts_venue_ns=NOW)], NOW)
    now = NOW
    for _ in range(ANSWERS):
        now += 10**10
        asked = stream.wanted(now)
        assert asked == (2, 2 + PAGE_ROWS)
        assert stream.answered(asked, [], now) == []
    assert stream.counts.n_unconfirmed == 1
    assert stream.is_whole
    assert ids(stream.received(trades(2), now)) == [2]


def test_a_trade_from_the_future_is_refused_whoever_says_it() -> None:
    stream = TradeStream(1)
    ahead = trade(1, ts_venue_ns=NOW + 60 * 10**9)
    assert stream.received([ahead], NOW) == []
    assert stream.answered((1, 1001), [ahead], NOW) == []
    assert stream.counts.n_refused == 1


def test_what_does_not_fit_behind_a_hole_is_fetched_later() -> None:
    stream = caught_up(pending_max=10)
    stream.received(trades(*range(2, 102)), NOW)
    assert stream.counts.n_forgotten == 90
    asked = stream.wanted(NOW + GRACE_NS)
    assert asked == (1, 1 + PAGE_ROWS)
    assert ids(stream.answered(asked, trades(*range(1, 102)), NOW)) == list(range(1, 102))
    assert stream.is_whole


def test_what_was_forgotten_is_not_taken_for_fetched_by_an_answer_that_could_not_know_it() -> None:
    stream = TradeStream(1, pending_max=10)
    stream.received(trades(*range(3, 33)), NOW)
    stream.answered((1, 1 + PAGE_ROWS), trades(1, *range(3, 33)), NOW)
    assert not stream.is_whole
    asked = stream.wanted(NOW + 10**10)
    assert asked == (2, 2 + PAGE_ROWS), "not only up to what it holds"


def test_an_unanswered_question_is_asked_again_after_a_wait() -> None:
    stream = TradeStream(1)
    stream.asked_in_vain(NOW)
    assert stream.wanted(NOW) is None and stream.wanted(NOW + FIRST_WAIT_NS) == (1, 1001)


def test_rows_that_nobody_asked_for_do_not_count_as_the_record() -> None:
    stream = TradeStream(10)
    assert stream.answered((10, 1010), trades(5, 2000), NOW) == []
    assert stream.last_id == 9 and stream.is_whole


@pytest.mark.parametrize("seed", range(40))
def test_every_trade_of_the_record_is_told_once_and_in_order_under_any_trouble(seed: int) -> None:
    chance = Random(seed)
    absent = set(chance.sample(range(1, 500), 12))
    record = [trade(each) for each in range(1, 500) if each not in absent]
    stream, told, now, sent = TradeStream(1, pending_max=30), list[FeedTrade | Missing](), NOW, 0
    while stream.last_id < 499:
        now += 10**8
        batch = record[sent : sent + chance.randint(0, 20)]
        sent += len(batch)
        batch = [each for each in batch if chance.random() > 0.2] + record[max(0, sent - 5) : sent : 2]
        chance.shuffle(batch)
        if chance.random() < 0.1:
            stream.interrupted()
        told += stream.received(batch, now)
        asked = stream.wanted(now)
        if sent >= len(record):
            stream.interrupted()
        if asked is not None and chance.random() < 0.7:
            told += stream.answered(
                asked, [row for row in record[:sent] if asked[0] <= row.trade_id < asked[1]], now
            )
    assert ids(told) == [row.trade_id for row in record]
    gone = [each for row in told if isinstance(row, Missing) for each in range(row.first_id, row.end_id)]
    assert gone == sorted(absent)
