"""The one order in which inbound messages reach the engine, whatever host feeds it."""

from njord.core.contracts import (
    Alert,
    BalanceAdjusted,
    Bar,
    BookEvent,
    ConfigChanged,
    FillEvent,
    FundingEvent,
    KillSwitchState,
    Message,
    OrderUpdate,
    Ref,
    RunStarted,
    TickerEvent,
    TimerFired,
    TradeEvent,
)

# At one instant: control, then timers, then the venue's replies, then trades and books, then bars.
INBOUND_CLASS: dict[type[Message], int] = {
    RunStarted: 0,
    ConfigChanged: 0,
    KillSwitchState: 0,
    Alert: 0,
    Ref: 0,
    TimerFired: 1,
    OrderUpdate: 2,
    FillEvent: 2,
    FundingEvent: 2,
    BalanceAdjusted: 2,
    TradeEvent: 3,
    BookEvent: 3,
    TickerEvent: 3,
    Bar: 4,
}


def inbound_key(message: Message, sequence: int) -> tuple[int, int, int, int]:
    """Return the sort key of an inbound message; `sequence` is its number within its source."""
    instrument = getattr(message, "instrument", -1)
    return (message.ts_ns, INBOUND_CLASS[type(message)], instrument, sequence)
