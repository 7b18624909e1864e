"""What of a market's streams is recorded: each trade once and in order, the book without a hole, nothing twice."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.apps.market_lines import MarketLines
from njord.core.units import NS_PER_S
from njord.storage.ingest.capture_lines import LineKind, read_line
from njord.venues.binance_rows import AggTrade, trade_page
from njord.venues.history import Depth
from tests.unit.apps.live_world import BTC

NOW = 1_700_000_000 * NS_PER_S


def trade(trade_id: int, price: str = "100.00") -> dict[str, Any]:
    return {"e": "aggTrade", "E": NOW // 10**6, "s": "BTCUSDT", "a": trade_id, "p": price, "q": "0.500", "T": NOW // 10**6, "m": False}  # fmt: skip


def change(first_id: int, last_id: int) -> dict[str, Any]:
    return {"e": "depthUpdate", "E": NOW // 10**6, "s": "BTCUSDT", "U": first_id, "u": last_id, "b": [["99.00", "1"]], "a": []}  # fmt: skip


def quote(update_id: int) -> dict[str, Any]:
    return {"u": update_id, "s": "BTCUSDT", "b": "99.00", "B": "1", "a": "101.00", "A": "2"}


def book(update_id: int) -> Depth:
    return Depth(update_id, b'{"lastUpdateId":%d,\n"bids":[["99.00","1"]],"asks":[]}' % update_id)


def page(ids: list[int]) -> Any:
    rows = [
        AggTrade(agg_id=each, price="100.00", qty="0.500", ts_ms=NOW // 10**6, is_buyer_maker=False)
        for each in ids
    ]
    return trade_page(rows, BTC)


def trade_ids(lines: bytes) -> list[int]:
    rows = [read_line(line) for line in lines.splitlines()]
    return [line.rows[0][1] for line in rows if line.kind is LineKind.AGG_TRADE]


@pytest.mark.parametrize(
    ("message", "kind"),
    [(trade(7), LineKind.AGG_TRADE), (change(1, 2), LineKind.DEPTH), (quote(5), LineKind.QUOTE)],
)
def test_what_is_written_is_what_an_import_reads(message: dict[str, Any], kind: LineKind) -> None:
    lines = MarketLines(BTC, 7)
    (line,) = lines.said(message, NOW).splitlines()
    read = read_line(line)
    assert (read.kind, read.ts_ns, read.symbol) == (kind, NOW, "BTCUSDT")


def test_a_book_is_asked_for_once_changes_have_come_and_is_one_line() -> None:
    lines = MarketLines(BTC, 0)
    assert not lines.wants_snapshot(NOW)
    lines.said(change(5, 6), NOW)
    assert lines.wants_snapshot(NOW)
    assert not lines.wants_snapshot(NOW + 1)  # One request at a time.
    (line,) = lines.snapshot(book(6), NOW + 2).splitlines()
    assert read_line(line).kind is LineKind.SNAPSHOT
    assert lines.is_in_step
    assert lines.book_id == 6


def test_a_hole_in_the_changes_asks_for_the_book_again() -> None:
    lines = MarketLines(BTC, 0)
    lines.said(change(5, 6), NOW)
    lines.snapshot(book(6), NOW)
    lines.said(change(7, 8), NOW)
    assert lines.book_id == 8
    lines.said(change(12, 13), NOW)
    assert (lines.book_id, lines.n_gaps) == (-1, 1)
    assert lines.wants_snapshot(NOW + 3 * NS_PER_S)
    assert lines.snapshot(book(10), NOW)  # Too old for the change that waits: asked again.
    assert lines.wants_snapshot(NOW + 6 * NS_PER_S)
    assert lines.snapshot(book(13), NOW)
    assert lines.book_id == 13


def test_a_new_file_begins_with_a_book_of_its_own() -> None:
    lines = MarketLines(BTC, 0)
    lines.said(change(5, 6), NOW)
    lines.snapshot(book(6), NOW)
    lines.begin_file()
    assert lines.wants_snapshot(NOW)


@given(
    order=st.permutations(range(20)),
    lost=st.sets(st.integers(0, 19), max_size=6),
    doubled=st.sets(st.integers(0, 19)),
)
def test_each_trade_is_recorded_once_in_the_order_of_ids_whatever_the_stream_does(
    order: list[int], lost: set[int], doubled: set[int]
) -> None:
    lines = MarketLines(BTC, 0)
    told = b""
    for trade_id in order:
        if trade_id not in lost:
            for _ in range(2 if trade_id in doubled else 1):
                told += lines.said(trade(trade_id), NOW)
    now_ns = NOW
    for _ in range(10):
        now_ns += NS_PER_S
        wanted = lines.trades.wanted(now_ns)
        if wanted is None:
            break
        told += lines.answered(
            wanted, page([each for each in range(20) if wanted[0] <= each < wanted[1]]), now_ns
        )
    assert trade_ids(told) == list(range(20))
    assert lines.counts.n_missing == 0


def test_changes_and_quotes_that_came_before_are_not_written_again() -> None:
    lines = MarketLines(BTC, 0)
    assert lines.said(change(5, 6), NOW)
    assert not lines.said(change(5, 6), NOW)
    assert lines.said(quote(9), NOW)
    assert not lines.said(quote(9), NOW)
    assert lines.counts.n_old == 2


def test_times_of_receipt_never_run_backwards() -> None:
    lines = MarketLines(BTC, 0)
    told = lines.said(quote(9), NOW + 5) + lines.said(quote(10), NOW)
    assert [read_line(line).ts_ns for line in told.splitlines()] == [NOW + 5, NOW + 5]


@pytest.mark.parametrize(
    "message",
    [
        {"e": "kline"},
        {"e": "depthUpdate", "U": "x"},
        {"B": "1", "A": "1", "u": "9"},
        {"e": "aggTrade", "a": 1},
    ],
)
def test_what_can_not_be_read_is_counted_and_not_written(message: dict[str, Any]) -> None:
    lines = MarketLines(BTC, 0)
    assert lines.said(msgspec.json.decode(msgspec.json.encode(message)), NOW) == b""
    assert lines.counts.n_other + lines.trades.counts.n_refused == 1
