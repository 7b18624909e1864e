"""What? A strategy reads what happened and proposes what it wants; everything it needs is exported here."""

from njord.core.contracts import CancelIntent, FillEvent, OrderIntent, Proposal, Target, TimerFired, TimerSet
from njord.core.types import OrderType, Side, TimeInForce
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context

__all__ = [
    "BarView",
    "CancelIntent",
    "Context",
    "FillEvent",
    "OrderIntent",
    "OrderType",
    "Proposal",
    "Proposals",
    "Side",
    "Strategy",
    "StrategyParams",
    "Target",
    "TimeInForce",
    "TimerFired",
    "TimerSet",
]
