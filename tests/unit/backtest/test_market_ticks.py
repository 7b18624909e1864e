"""Recorded ticks as a run reads them: nothing known early, a book only in step, the exchange in its own time."""

from pathlib import Path
from typing import Any

import pytest

from njord.backtest import market_ticks
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.core.contracts import BookEvent, Message, TradeEvent
from njord.core.errors import UserError
from njord.core.types import BUY, SELL
from tests.unit.backtest.market_samples import MS, START_NS, Change, store_book, store_trades

BUYS, SELLS, UNKNOWN = 1, -1, 0
SNAPSHOT: Change = (100, 100, 10, 10, True, [("bid", 99, 5), ("ask", 101, 7)])


def market(*paths: Path, start_ms: int | None = None, end_ms: int | None = None) -> RecordedMarket:
    def at(moment: int | None) -> int | None:
        return None if moment is None else START_NS + moment * MS

    return open_market(MarketRequest(data=paths, start_ns=at(start_ms), end_ns=at(end_ms)), {})


def told(opened: RecordedMarket) -> list[Message]:
    with opened:
        messages = [message for block in opened.blocks() for message in block.messages]
    assert len(messages) == opened.n_events
    return messages


def ms(ts_ns: int) -> int:
    return (ts_ns - START_NS) // MS


def test_a_clock_behind_the_venues_is_moved_on_until_nothing_is_known_before_it_happened(
    tmp_path: Path,
) -> None:
    trades = store_trades(tmp_path, [(100, 1_100, BUYS, 100, 1), (200, 1_150, SELLS, 101, 2)])
    book = store_book(tmp_path, [SNAPSHOT, (300, 1_301, 11, 12, False, [("bid", 99, 0)])])
    opened = market(trades, book)
    messages = told(opened)
    # The largest lead of the venue's clock is the last change's: 1,001 ms.
    assert [ms(message.ts_ns) for message in messages] == [1_101, 1_101, 1_201, 1_301]
    assert [type(message) for message in messages] == [TradeEvent, BookEvent, TradeEvent, BookEvent]
    ticks = [message for message in messages if isinstance(message, (TradeEvent, BookEvent))]
    assert len(ticks) == 4 and all(tick.ts_ns >= tick.ts_venue_ns for tick in ticks[2:])
    assert sorted(opened.feed_delays_ns.tolist()) == [0, 1 * MS, 51 * MS]
    (said,) = (text for source in opened.sources for text in source.assumptions if "clock" in text)
    assert "1.001000000 s" in said


def test_a_clock_that_is_never_behind_is_left_alone(tmp_path: Path) -> None:
    opened = market(store_trades(tmp_path, [(100, 90, BUYS, 100, 1), (200, 200, SELLS, 101, 2)]))
    assert [ms(message.ts_ns) for message in told(opened)] == [100, 200]
    assert opened.sources[0].assumptions == ()


def test_a_trade_without_a_side_takes_it_from_the_prices_move(tmp_path: Path) -> None:
    prices = [100, 101, 101, 99, 99, 100]
    trades = store_trades(tmp_path, [(i, i, UNKNOWN, price, 1) for i, price in enumerate(prices)])
    sides = [message.side for message in told(market(trades)) if isinstance(message, TradeEvent)]
    assert sides == [BUY, BUY, BUY, SELL, SELL, BUY]


def book_market(tmp_path: Path, changes: list[Change], start_ms: int | None = None) -> list[BookEvent]:
    trades = store_trades(tmp_path, [(1_000, 1_000, BUYS, 100, 1)])
    opened = market(trades, store_book(tmp_path, changes), start_ms=start_ms)
    return [message for message in told(opened) if isinstance(message, BookEvent)]


def test_changes_older_than_the_snapshot_are_dropped_and_a_newer_one_that_waited_follows_it(
    tmp_path: Path,
) -> None:
    events = book_market(
        tmp_path,
        [
            (50, 50, 8, 9, False, [("bid", 98, 1)]),
            (60, 60, 10, 12, False, [("bid", 97, 2)]),
            SNAPSHOT,
            (110, 110, 13, 13, False, [("ask", 101, 0)]),
        ],
    )
    assert [(ms(event.ts_ns), event.is_snapshot, event.last_update_id) for event in events] == [
        (100, True, 10), (100, False, 12), (110, False, 13),
    ]  # fmt: skip
    assert events[0].bids == ((99, 5),)
    assert events[0].asks == ((101, 7),)
    assert events[1].bids == ((97, 2),)
    assert events[2].asks == ((101, 0),)
    assert ms(events[0].ts_venue_ns) == 60  # A snapshot has no time of the venue: it takes the last change's.


def test_where_update_ids_are_missing_the_book_is_empty_until_the_next_snapshot(tmp_path: Path) -> None:
    events = book_market(
        tmp_path,
        [
            SNAPSHOT,
            (110, 110, 11, 11, False, [("bid", 99, 6)]),
            (120, 120, 15, 16, False, [("bid", 99, 7)]),
            (130, 130, 17, 17, False, [("bid", 99, 8)]),
            (140, 140, 16, 16, True, [("bid", 90, 1)]),
        ],
    )
    assert [(ms(event.ts_ns), event.is_snapshot, event.bids) for event in events] == [
        (100, True, ((99, 5),)), (110, False, ((99, 6),)), (120, True, ()), (140, True, ((90, 1),)),
        (140, False, ((99, 8),)),
    ]  # fmt: skip


def test_a_run_that_starts_later_begins_with_the_book_as_it_was(tmp_path: Path) -> None:
    events = book_market(
        tmp_path,
        [
            SNAPSHOT,
            (110, 110, 11, 11, False, [("bid", 99, 0), ("bid", 98, 3)]),
            (200, 200, 12, 12, False, [("ask", 101, 0)]),
        ],
        start_ms=150,
    )
    assert [(ms(event.ts_ns), event.is_snapshot, event.bids, event.asks) for event in events] == [
        (200, True, ((98, 3),), ((101, 7),)), (200, False, (), ((101, 0),)),
    ]  # fmt: skip


def test_the_exchange_sees_both_datasets_in_its_own_time_and_a_trade_before_the_change_it_caused(
    tmp_path: Path,
) -> None:
    trades = store_trades(
        tmp_path, [(112, 110, SELLS, 99, 2), (131, 120, BUYS, 101, 1), (132, 119, BUYS, 102, 1)]
    )
    book = store_book(tmp_path, [SNAPSHOT, (112, 110, 11, 11, False, [("bid", 99, 3)])])
    with market(trades, book) as opened:
        rows = list(opened.tick_rows(0) or ())
        again = list(opened.tick_rows(0) or ())
    flat = [
        (ms(ts_ns), kind, price, lots)
        for block in rows
        for ts_ns, kind, price, lots in zip(
            block.ts_ns.tolist(), block.kind.tolist(), block.price_ticks.tolist(), block.qty_lots.tolist(),
            strict=True,
        )
    ]  # fmt: skip
    assert flat == [
        (100, 5, 0, 0), (100, 1, 99, 5), (100, 2, 101, 7), (110, 4, 99, 2), (110, 1, 99, 3), (120, 3, 101, 1),
        (120, 3, 102, 1),
    ]  # fmt: skip
    assert len(again) == len(rows)


def test_ticks_have_no_columns_and_bars_no_tick_rows(tmp_path: Path) -> None:
    with market(store_trades(tmp_path, [(1, 1, BUYS, 100, 1)])) as opened:
        assert opened.has_ticks(0)
        assert opened.columns(0) is None
        assert [piece.close.tolist() for piece in opened.prices(0)] == [[100]]


@pytest.mark.parametrize(("start_ms", "end_ms"), [(500, None), (None, 100), (150, 160)])
def test_a_range_without_trades_is_refused(tmp_path: Path, start_ms: int | None, end_ms: int | None) -> None:
    trades = store_trades(tmp_path, [(100, 100, BUYS, 100, 1), (200, 200, BUYS, 100, 1)])
    with pytest.raises(UserError, match="has no trades in the range asked for; check --start and --end"):
        market(trades, start_ms=start_ms, end_ms=end_ms)


def test_a_range_takes_the_rows_known_in_it(tmp_path: Path) -> None:
    trades = store_trades(tmp_path, [(10 * i, 10 * i, BUYS, 100 + i, 1) for i in range(10)])
    opened = market(trades, start_ms=20, end_ms=50)
    assert [message.price_ticks for message in told(opened) if isinstance(message, TradeEvent)] == [
        102,
        103,
        104,
    ]
    assert (opened.sources[0].first_row, opened.sources[0].end_row) == (2, 5)


def test_what_is_told_does_not_depend_on_how_many_rows_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [1, 1, 1, 2, 2, 3, 3, 3, 3, 5, 5]
    eth = store_trades(tmp_path, [(each, each, BUYS, 100 + i, 1) for i, each in enumerate(times)])
    btc = store_trades(tmp_path, [(each, each, BUYS, 200 + i, 1) for i, each in enumerate(times)], "BTC/USDT")
    changes: list[Change] = [(1, 1, 1, 1, True, [("bid", 99, 5), ("bid", 98, 5), ("ask", 101, 7)])]
    changes += [(each, each, 2 + i, 2 + i, False, [("bid", 99, i + 1)]) for i, each in enumerate(times)]
    book = store_book(tmp_path, changes)

    def all_of(size: int) -> tuple[list[Message], list[Any]]:
        monkeypatch.setattr(market_ticks, "ROWS", size)
        opened = market(eth, btc, book)
        rows = [
            row
            for block in opened.tick_rows(0) or ()
            for row in zip(
                block.ts_ns.tolist(), block.kind.tolist(), block.price_ticks.tolist(), block.qty_lots.tolist(),
                strict=True,
            )
        ]  # fmt: skip
        return told(opened), rows

    whole = all_of(1_000)
    assert len(whole[0]) == 34
    for size in (1, 2, 3):
        assert all_of(size) == whole
