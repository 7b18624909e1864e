"""What the public sees of a market: books, trades and bars are those of its tape, whoever looks and however often."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np
import pytest

from njord.core.errors import ConfigError
from njord.core.units import FOREVER_NS, NS_PER_DAY, NS_PER_MINUTE, NS_PER_S
from njord.exchange.bars_market import BarsOf, bars_bounds, bars_tape, path
from njord.exchange.market import AggTradePrint, BestQuote, BookDiff, PublicMarket, TradePrint
from njord.exchange.market_klines import INTERVALS, Kline, Klines, bounds
from njord.exchange.market_pace import Pace
from njord.exchange.market_tape import CLEAR
from njord.exchange.recorded_market import Recorded, recorded_bounds, recorded_tape
from njord.exchange.synthetic_market import SyntheticMarket
from njord.storage.dataset import BarChunk
from njord.storage.store.kinds import BOOK_ASK, BOOK_BID, BOOK_EVENT_END, BOOK_SNAPSHOT, COLUMNS, DataKind
from njord.venues.tick_market import TickMarket
from tests.property.strategies import START_NS
from tests.unit.exchange.exchange_case import BTC, change, market, trade

NEVER = FOREVER_NS


def ran(subject: PublicMarket) -> list[object]:
    """Return all that happens on a market that ends."""
    events: list[object] = []
    while subject.next_ns < NEVER:
        subject.advance(subject.next_ns)
        events += subject.take_events()
    return events


def trades_of(events: Iterable[object]) -> list[TradePrint]:
    return [event for event in events if isinstance(event, TradePrint)]


# --- trades, books and quotes ---


def test_every_row_of_a_tape_is_told_once_in_order_with_its_ids() -> None:
    events = ran(market(change(1, [(99, 0)], [(101, 7)]), trade(2, 101, 3, buys=True, trade_id=9)))
    diffs = [event for event in events if isinstance(event, BookDiff)]
    assert [(diff.first_id, diff.last_id, diff.bids, diff.asks) for diff in diffs] == [
        (2, 2, ((99, 50), (98, 100)), ((101, 50), (102, 100))),
        (1002, 1002, ((99, 0),), ((101, 7),)),
    ]
    assert [
        (each.trade_id, each.price_ticks, each.qty_lots, each.is_buyer_maker) for each in trades_of(events)
    ] == [
        (1, 100, 1, True),
        (9, 101, 3, False),
    ]


def test_the_best_quote_is_told_when_it_changes_and_only_then() -> None:
    events = ran(market(change(1, [(90, 5)]), change(2, [(99, 60)]), change(3, [(99, 0), (98, 0), (90, 0)])))
    quotes = [event for event in events if isinstance(event, BestQuote)]
    assert [(quote.bid_ticks, quote.bid_lots, quote.ask_ticks, quote.ask_lots) for quote in quotes] == [
        (99, 50, 101, 50),
        (99, 60, 101, 50),
        (0, 0, 101, 50),
    ]


def test_trades_of_one_moment_price_and_side_are_one_aggregate_trade() -> None:
    rows = [
        trade(1, 101, 2, buys=True, trade_id=5),
        trade(1, 101, 3, buys=True, trade_id=6),
        trade(1, 102, 1, buys=True, trade_id=7),
        trade(2, 102, 1, buys=True, trade_id=8),
    ]
    joined = [event for event in ran(market(*rows)) if isinstance(event, AggTradePrint)]
    assert [(each.agg_id, each.first_id, each.last_id, each.qty_lots) for each in joined] == [
        (1, 1, 1, 1),
        (2, 5, 6, 5),
        (3, 7, 7, 1),
        (4, 8, 8, 1),
    ]


def test_a_change_of_the_book_does_not_part_the_trades_of_its_moment() -> None:
    rows = [
        trade(1, 101, 2, buys=True, trade_id=5),
        change(1, [(99, 1)]),
        trade(1, 101, 3, buys=True, trade_id=6),
    ]
    joined = [event for event in ran(market(*rows)) if isinstance(event, AggTradePrint)]
    assert [(each.first_id, each.last_id) for each in joined] == [(1, 1), (5, 6)]


def test_a_book_that_is_replaced_is_told_as_what_differs_from_the_one_before() -> None:
    whole = change(1, [(99, 50), (97, 5)], [(101, 60)])
    events = ran(market([(CLEAR, whole[0][1], 0, 0, 1002, 1002, 0), *whole]))
    (_, told) = [event for event in events if isinstance(event, BookDiff)]
    assert (told.bids, told.asks) == (((98, 0), (97, 5)), ((102, 0), (101, 60)))


def test_accounts_orders_meet_the_same_book_as_the_public_sees() -> None:
    subject = SyntheticMarket([BTC], 3, START_NS, {"BTC": BTC.price(60_000)})
    beside = TickMarket(subject.venue_rows(0), queue_model="risk_averse", partial_fills=True)
    for second in range(1, 20):
        now_ns = START_NS + second * NS_PER_S
        subject.advance(now_ns)
        assert beside.advance(now_ns) == []
        bid, _, ask, _ = subject.best(0)
        assert (beside.best_bid_ticks, beside.best_ask_ticks) == (bid, ask)
        assert 0 < bid < ask
    assert trades_of(subject.take_events())


def test_a_synthetic_market_is_its_seed_whoever_else_is_traded_and_however_it_is_advanced() -> None:
    def told(seed: int, n_symbols: int, step_ns: int) -> list[object]:
        subject = SyntheticMarket([BTC, BTC][:n_symbols], seed, START_NS, {"BTC": BTC.price(60_000)})
        events: list[object] = []
        for now_ns in range(START_NS, START_NS + 5 * NS_PER_S + 1, step_ns):
            subject.advance(now_ns)
            events += [event for event in subject.take_events() if event.instrument == 0]
        return [event for event in events if not isinstance(event, AggTradePrint)]

    assert told(1, 1, NS_PER_S) == told(1, 2, NS_PER_S // 10)
    assert told(1, 1, NS_PER_S) != told(2, 1, NS_PER_S)


def test_a_synthetic_price_without_room_for_a_ladder_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"at least 1000 ticks of 1, was 100"):
        SyntheticMarket([BTC], 1, START_NS, {"BTC": BTC.price(100)})


# --- bars of trades ---


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h", "1d"])
def test_bars_are_an_independent_grouping_of_the_trades(interval: str) -> None:
    rng, klines = np.random.default_rng(7), Klines()
    at_ns = START_NS + np.sort(rng.integers(0, 20 * NS_PER_MINUTE, 300))
    groups: dict[int, list[tuple[int, int, int, bool]]] = defaultdict(list)
    for trade_id, ts_ns in enumerate(at_ns.tolist()):
        price, lots, buys = int(rng.integers(90, 110)), int(rng.integers(1, 9)), bool(rng.random() < 0.5)
        klines.add(ts_ns, trade_id, price, lots, buys)
        groups[ts_ns // INTERVALS[interval]].append((trade_id, price, lots, buys))
    got = [bar for bar in klines.between(interval, START_NS - NS_PER_DAY, int(at_ns[-1])) if bar.n_trades]
    expected = []
    for group, trades in sorted(groups.items()):
        prices = [price for _, price, _, _ in trades]
        bought = [(price, lots) for _, price, lots, buys in trades if buys]
        expected.append(
            Kline(
                open_ns=group * INTERVALS[interval],
                end_ns=(group + 1) * INTERVALS[interval],
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=prices[-1],
                volume_lots=sum(lots for _, _, lots, _ in trades),
                quote=sum(price * lots for _, price, lots, _ in trades),
                n_trades=len(trades),
                taker_buy_lots=sum(lots for _, lots in bought),
                taker_buy_quote=sum(price * lots for price, lots in bought),
                first_id=trades[0][0],
                last_id=trades[-1][0],
            )
        )
    assert got == expected


def test_where_nobody_traded_the_bar_repeats_the_last_close() -> None:
    klines = Klines()
    klines.add(START_NS, 1, 100, 1, True)
    klines.add(START_NS + 3 * NS_PER_MINUTE, 2, 105, 1, True)
    bars = list(klines.between("1m", START_NS, START_NS + 4 * NS_PER_MINUTE))
    assert [(bar.close, bar.n_trades) for bar in bars] == [(100, 1), (100, 0), (100, 0), (105, 1), (105, 0)]
    assert [bar.open_ns for bar in bars] == [START_NS + n * NS_PER_MINUTE for n in range(5)]


def test_weeks_begin_on_monday_and_months_follow_the_calendar() -> None:
    leap_day = 1_709_164_800 * NS_PER_S  # Thursday, 29 February 2024.
    assert bounds("1w", leap_day) == ((19_779 * NS_PER_DAY), (19_786 * NS_PER_DAY))
    open_ns, end_ns = bounds("1M", leap_day)
    assert (end_ns - open_ns) // NS_PER_DAY == 29
    assert bounds("1M", end_ns)[0] == end_ns


# --- recordings and bars ---


def recorded(*, with_ids: bool = True) -> Recorded:
    """Three trades and a book: a change that comes too early, a snapshot, a change, a hole, a snapshot, a change."""
    trades = [
        (10, 10, 70 * with_ids, 1, 100, 2),
        (30, 30, 71 * with_ids, -1, 99, 1),
        (60, 60, 72 * with_ids, 0, 101, 4),
    ]
    bid, ask, end, whole = BOOK_BID, BOOK_ASK, BOOK_EVENT_END, BOOK_SNAPSHOT
    book = [
        (5, 5, 500, 501, bid | end, 1, 1),
        (12, 12, 502, 502, whole | bid, 99, 5),
        (12, 12, 502, 502, whole | ask | end, 101, 5),
        (20, 20, 503, 505, bid | end, 98, 7),
        (40, 40, 510, 511, bid | end, 97, 7),
        (50, 50, 520, 520, whole | bid, 96, 1),
        (50, 50, 520, 520, whole | ask | end, 101, 6),
        (60, 60, 521, 522, ask | end, 102, 1),
    ]

    def columns(
        kind: DataKind, rows: Sequence[tuple[int, ...]]
    ) -> dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]:
        return dict(zip(COLUMNS[kind], np.array(rows, np.int64).T, strict=True))

    return Recorded(BTC, lambda: [columns(DataKind.TRADES, trades)], lambda: [columns(DataKind.BOOK, book)])


def pace(source: Recorded, *, speed: int = 1, repeats: bool = False) -> Pace:
    first_ns, last_ns = recorded_bounds(source)
    return Pace(begin_ns=START_NS, first_ns=first_ns, last_ns=last_ns, speed=Fraction(speed), repeats=repeats)


def test_a_recording_keeps_its_ids_and_order_and_is_moved_onto_the_exchanges_clock() -> None:
    source = recorded()
    events = ran(PublicMarket([BTC], [recorded_tape(source, pace(source, speed=5))], START_NS))
    assert [(each.trade_id, each.ts_ns - START_NS) for each in trades_of(events)] == [
        (70, 1),
        (71, 5),
        (72, 11),
    ]
    assert trades_of(events)[2].is_buyer_maker is False  # It lies above the one before.
    diffs = [event for event in events if isinstance(event, BookDiff)]
    # What comes before a snapshot does not happen; behind the hole nobody knows the book until the next one.
    assert [(diff.first_id, diff.last_id, diff.bids, diff.asks) for diff in diffs] == [
        (502, 502, ((99, 5),), ((101, 5),)),
        (503, 505, ((98, 7),), ()),
        (506, 511, ((99, 0), (98, 0)), ((101, 0),)),
        (512, 520, ((96, 1),), ((101, 6),)),
        (521, 522, (), ((102, 1),)),
    ]


def test_who_follows_the_changes_of_a_repeated_recording_never_falls_out_of_step() -> None:
    source = recorded()
    span_ns = 56
    subject = PublicMarket([BTC], [recorded_tape(source, pace(source, repeats=True))], START_NS)
    followed: dict[str, dict[int, int]] = {"bids": {}, "asks": {}}
    last_id, trade_ids = 0, list[int]()
    while subject.next_ns < START_NS + 3 * span_ns:
        subject.advance(subject.next_ns)
        for event in subject.take_events():
            if isinstance(event, TradePrint):
                trade_ids.append(event.trade_id)
            elif isinstance(event, BookDiff):
                assert not last_id or event.first_id <= last_id + 1 <= event.last_id
                last_id = event.last_id
                for side, levels in (("bids", event.bids), ("asks", event.asks)):
                    followed[side].update(levels)
                    followed[side] = {price: lots for price, lots in followed[side].items() if lots}
        view = subject.book(0)
        assert (dict(view.bids), dict(view.asks)) == (followed["bids"], followed["asks"])
    assert trade_ids == list(range(70, 79))


def test_trades_without_ids_are_numbered() -> None:
    source = recorded(with_ids=False)
    events = ran(PublicMarket([BTC], [recorded_tape(source, pace(source))], START_NS))
    assert [each.trade_id for each in trades_of(events)] == [1, 2, 3]


def test_bars_of_a_market_made_of_bars_are_those_bars() -> None:
    first_ns = START_NS
    rows = [
        (100, 104, 98, 103, 40),
        (103, 103, 95, 96, 41),
        (96, 96, 96, 96, 1),
        (97, 99, 97, 99, 0),
        (99, 99, 99, 99, 7),
    ]
    columns = np.array(rows, np.int64).T
    opens = first_ns + NS_PER_MINUTE * np.arange(len(rows))
    bars = BarsOf(BTC, NS_PER_MINUTE, lambda: [BarChunk(0, opens, *columns)])
    begin_ns, end_ns = bars_bounds(bars)
    clock = Pace(begin_ns=begin_ns, first_ns=begin_ns, last_ns=end_ns)
    subject = PublicMarket([BTC], [bars_tape(bars, clock)], begin_ns)
    beside = TickMarket(subject.venue_rows(0), queue_model="risk_averse", partial_fills=True)
    for event in ran(subject):
        if isinstance(event, BookDiff):
            bid, _, ask, _ = subject.best(0)
            assert 0 < bid < ask
    beside.advance(end_ns)
    got = list(subject.klines[0].between("1m", begin_ns, end_ns - 1))
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume_lots) for bar in got] == [
        *rows[:3],
        (96, 96, 96, 96, 0),  # Without volume nobody traded, and no price is known.
        rows[4],
    ]


def test_a_rising_bar_goes_down_first_and_a_falling_one_up() -> None:
    assert path((100, 110, 90, 105), 1) == [100, 90, 110, 105]
    assert path((105, 110, 90, 100), 1) == [105, 110, 90, 100]
    assert path((100, 100, 100, 100), 4) == [100]
    assert path((100, 102, 100, 102), 4) == [100, 101, 102]
