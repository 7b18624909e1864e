"""Which topic does a message go to, and how? Declared once; configuration cannot rename them.

Topics of streams must not lose anything; all others are published at most once, market data above all.
"""

from collections.abc import Sequence

from njord.core.contracts import (
    Alert,
    AmendEvent,
    BalanceAdjusted,
    Bar,
    BookEvent,
    CancelEvent,
    DataGap,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    RiskDecision,
    TickerEvent,
    TradeEvent,
)
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S

# `{symbol}` is the CCXT unified symbol, `{timeframe}` such as 1m.
TOPICS: dict[type[Message], str] = {
    TradeEvent: "md.trades.{symbol}",
    BookEvent: "md.book.{symbol}",
    TickerEvent: "md.ticker.{symbol}",
    Bar: "md.ohlcv.{timeframe}.{symbol}",
    DataGap: "md.quality.{symbol}",
    OrderIntent: "strat.intent",
    RiskDecision: "risk.decision",
    OrderEvent: "orders.accepted",
    CancelEvent: "orders.cancel",
    AmendEvent: "orders.amend",
    OrderUpdate: "broker.orders",
    FillEvent: "fills.new",
    FundingEvent: "funding.new",
    BalanceAdjusted: "balances.adjusted",
    PositionSnapshot: "positions.snapshot",
    KillSwitchState: "risk.kill_switch",
    Alert: "telemetry.alerts",
}

# What must not be lost: everything about orders, money and the switch.
STREAMS: dict[type[Message], str] = {
    kind: topic for kind, topic in TOPICS.items() if not topic.startswith("md.")
}
_UNITS = (("d", NS_PER_DAY), ("h", 60 * NS_PER_MINUTE), ("m", NS_PER_MINUTE), ("s", NS_PER_S))


def topic_of_message(message: Message, instruments: Sequence[Instrument]) -> str | None:
    """Return the topic that `message` goes to; None if messages of its kind stay at home.

    Args:
        message: What is to be published.
        instruments: All instruments of its run, in order.
    """
    topic = TOPICS.get(type(message))
    if topic is None or "{" not in topic:
        return topic
    symbol = instruments[getattr(message, "instrument", 0)].symbol
    return topic.format(symbol=symbol, timeframe=_timeframe(message))


# A bar says how long it is: 1m, 4h, 1d.
def _timeframe(message: Message) -> str:
    if not isinstance(message, Bar):
        return ""
    length_ns = message.ts_ns - message.ts_open_ns
    for unit, unit_ns in _UNITS:
        if length_ns >= unit_ns and length_ns % unit_ns == 0:
            return f"{length_ns // unit_ns}{unit}"
    return f"{length_ns}ns"
