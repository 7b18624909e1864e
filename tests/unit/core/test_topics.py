"""Which message goes to which topic, and which of them may not be lost."""

from decimal import Decimal
from pathlib import Path

import pytest

from njord.core import contracts
from njord.core.contracts import Bar, Message, OrderIntent, TickerEvent, TimerFired, TradeEvent
from njord.core.instrument import Instrument
from njord.core.topics import STREAMS, TOPICS, topic_of_message
from njord.core.types import Side
from njord.core.units import NS_PER_S
from tests.unit.storage.journal_samples import timer, trade

INSTRUMENTS = tuple(
    Instrument(
        symbol=f"{base}/USDT",
        venue="x",
        base=base,
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
    )
    for base in ("BTC", "ETH")
)


def bar(seconds: int) -> Bar:
    return Bar(ts_ns=seconds * NS_PER_S, instrument=1, ts_open_ns=0, open=1, high=1, low=1, close=1)


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        (trade(1, instrument=1), "md.trades.ETH/USDT"),
        (bar(1), "md.ohlcv.1s.ETH/USDT"),
        (bar(60), "md.ohlcv.1m.ETH/USDT"),
        (bar(90), "md.ohlcv.90s.ETH/USDT"),
        (bar(4 * 3600), "md.ohlcv.4h.ETH/USDT"),
        (bar(86_400), "md.ohlcv.1d.ETH/USDT"),
        (
            TickerEvent(ts_ns=1, instrument=0, bid_ticks=1, ask_ticks=2, last_ticks=1, ts_venue_ns=1),
            "md.ticker.BTC/USDT",
        ),
        (OrderIntent(side=Side.BUY, qty_lots=1), "strat.intent"),
        (timer(1), None),
    ],
)
def test_a_message_goes_to_its_topic_with_its_symbol_and_length(message: Message, topic: str | None) -> None:
    assert topic_of_message(message, INSTRUMENTS) == topic


def test_the_docs_name_every_topic_what_it_carries_and_how() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "delivery-guarantees.md"
    rows = [
        line
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.endswith(("| the topic |", "| none |"))
    ]
    assert rows == [
        f"| `{topic}` | `{kind.__name__}` | stream, at least once | the topic |"
        if kind in STREAMS
        else f"| `{topic}` | `{kind.__name__}` | pub/sub, at most once | none |"
        for kind, topic in sorted(TOPICS.items(), key=lambda item: item[0] not in STREAMS)
    ]


def test_everything_but_market_data_is_a_stream() -> None:
    assert set(STREAMS) == {kind for kind in TOPICS if not TOPICS[kind].startswith("md.")}
    assert {TradeEvent, Bar}.isdisjoint(STREAMS)
    assert TimerFired not in TOPICS
    assert {topic for topic in STREAMS.values() if "{" in topic} == set()
    # What decides over orders and money is named one by one: whoever takes one out must mean it.
    for kind in (
        contracts.OrderIntent,
        contracts.RiskDecision,
        contracts.OrderEvent,
        contracts.CancelEvent,
        contracts.AmendEvent,
        contracts.OrderUpdate,
        contracts.FillEvent,
        contracts.FundingEvent,
        contracts.PositionSnapshot,
        contracts.KillSwitchState,
        contracts.Alert,
    ):
        assert kind in STREAMS
