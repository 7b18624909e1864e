"""What? A strategy reads what happened and proposes what it wants; everything it needs is exported here."""

from njord.core.contracts import (
    VENUE,
    AmendIntent,
    BookEvent,
    CancelIntent,
    FillEvent,
    OrderIntent,
    OrderUpdate,
    Proposal,
    Target,
    TimerFired,
    TimerSet,
    TradeEvent,
)
from njord.core.types import OrderReason, OrderStatus, OrderType, Side, TimeInForce
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.bracket import bracket
from njord.strategies.context import BarView, Context
from njord.strategies.features import BarColumns, FloatArray

__all__ = [
    "VENUE",
    "AmendIntent",
    "BarColumns",
    "BarView",
    "BookEvent",
    "CancelIntent",
    "Context",
    "FillEvent",
    "FloatArray",
    "OrderIntent",
    "OrderReason",
    "OrderStatus",
    "OrderType",
    "OrderUpdate",
    "Proposal",
    "Proposals",
    "Side",
    "Strategy",
    "StrategyParams",
    "Target",
    "TimeInForce",
    "TimerFired",
    "TimerSet",
    "TradeEvent",
    "bracket",
]
