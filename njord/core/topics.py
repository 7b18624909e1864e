"""Message type <-> topic name, declared once; configuration cannot rename them."""

from njord.core.contracts import (
    Alert,
    AmendEvent,
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
    PositionSnapshot: "positions.snapshot",
    KillSwitchState: "risk.kill_switch",
    Alert: "telemetry.alerts",
}


def topic_of(kind: type[Message], symbol: str = "", timeframe: str = "") -> str:
    """Return the topic of messages of `kind`.

    Raises:
        KeyError: Messages of this kind are not published.
    """
    return TOPICS[kind].format(symbol=symbol, timeframe=timeframe)
