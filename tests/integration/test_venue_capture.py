"""The recorded capture, served: the exchange's book, trades and bars are the recording's, update id by update id."""

from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest

from njord.core.units import FOREVER_NS, NS_PER_MINUTE
from njord.exchange.market import BookDiff, TradePrint
from njord.exchange.market_open import Replay, open_replay
from njord.exchange.streams import MarketStreams
from njord.storage.ingest.capture import open_capture
from njord.storage.store.kinds import DataKind
from njord.venues.tick_market import TickMarket

pytestmark = pytest.mark.integration

CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
BEGIN_NS = 30_000_000 * NS_PER_MINUTE
SYMBOL = "ETH/USDT"


def rows_of(capture: Any, kind: DataKind, *names: str) -> list[tuple[int, ...]]:
    return [
        row
        for block in capture.rows(SYMBOL, kind)
        for row in zip(*(block[name].tolist() for name in names), strict=True)
    ]


def test_the_served_book_is_the_recorded_quote_at_every_common_update_id(recordings: Path) -> None:
    path = recordings / "capture" / CAPTURE
    with open_capture([path]) as capture:
        names = ("update_id", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
        quotes = {row[0]: row[1:] for row in rows_of(capture, DataKind.QUOTES, *names)}
        trades = rows_of(
            capture, DataKind.TRADES, "trade_id", "price_ticks", "qty_lots", "side", "ts_venue_ns"
        )
        changes = set(rows_of(capture, DataKind.BOOK, "first_update_id", "last_update_id"))
    with open_replay(Replay(data=(path,), speed=Fraction(1)), {}, BEGIN_NS) as replayed:
        subject = replayed.market
        beside = TickMarket(subject.venue_rows(0), queue_model="risk_averse", partial_fills=True)
        n_common, last_id, told = 0, 0, list[TradePrint]()
        while subject.next_ns < FOREVER_NS:
            now_ns = subject.next_ns
            subject.advance(now_ns)
            for event in subject.take_events():
                if isinstance(event, TradePrint):
                    told.append(event)
                elif isinstance(event, BookDiff):
                    assert not last_id or event.first_id == last_id + 1
                    assert (event.first_id, event.last_id) in changes
                    last_id = event.last_id
                    if last_id in quotes:
                        n_common += 1
                        assert subject.best(0) == quotes[last_id]
            beside.advance(now_ns)
            if last_id:
                bid, _, ask, _ = subject.best(0)
                assert (beside.best_bid_ticks, beside.best_ask_ticks) == (bid, ask)
        assert n_common > 500
        assert [(each.trade_id, each.price_ticks, each.qty_lots) for each in told] == [
            row[:3] for row in trades
        ]
        assert [each.is_buyer_maker for each in told] == [row[3] < 0 for row in trades]
        grouped: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        first_ns = trades[0][4] - (told[0].ts_ns - BEGIN_NS)
        for row in trades:
            grouped[(BEGIN_NS + row[4] - first_ns) // NS_PER_MINUTE].append(row)
        bars = [bar for bar in subject.klines[0].between("1m", BEGIN_NS, subject.now_ns) if bar.n_trades]
        assert [(bar.open, bar.high, bar.low, bar.close, bar.volume_lots, bar.first_id) for bar in bars] == [
            (
                rows[0][1],
                max(row[1] for row in rows),
                min(row[1] for row in rows),
                rows[-1][1],
                sum(row[2] for row in rows),
                rows[0][0],
            )
            for _, rows in sorted(grouped.items())
        ]


def test_who_subscribes_to_the_replayed_capture_hears_every_trade_once(recordings: Path) -> None:
    path = recordings / "capture" / CAPTURE
    with open_replay(Replay(data=(path,), speed=Fraction(60)), {}, BEGIN_NS) as replayed:
        streams = MarketStreams(replayed.market)
        streams.opened(1, "/ws/ethusdt@trade", "", BEGIN_NS)
        ids: list[int] = []
        for now_ns in range(BEGIN_NS, BEGIN_NS + 7 * 1_000_000_000, 50_000_000):
            streams.advance(now_ns)
            ids += [msgspec.json.decode(str(frame.text))["t"] for frame in streams.take_frames()]
    assert len(ids) == len(set(ids)) == 6106
    assert ids == sorted(ids)
