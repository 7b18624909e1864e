"""One order for everything that comes in at one instant."""

from typing import Any

import msgspec
import pytest

from njord.core.contracts import FillEvent, KillSwitchState, Message, OrderIntent, TimerFired, TradeEvent
from njord.core.ordering import inbound_key
from njord.core.types import Side, TradingState
from tests.property.strategies import bar, fill_event

BAR = bar(0, 1, 1, 1, 1)
NOW = BAR.ts_ns
CONTROL = KillSwitchState(ts_ns=NOW, state=TradingState.ACTIVE, source="t", valid_until_ns=NOW)
TIMER = TimerFired(ts_ns=NOW, strategy_id="s", instrument=9, key="k", due_ns=NOW)
FILL: FillEvent = msgspec.structs.replace(fill_event(), ts_ns=NOW)
TRADE = TradeEvent(
    ts_ns=NOW, instrument=0, price_ticks=1, qty_lots=1, side=Side.BUY, trade_id=1, ts_venue_ns=NOW
)


def at(message: Message, **changed: Any) -> Message:
    return msgspec.structs.replace(message, **changed)


def test_at_one_instant_control_comes_before_timers_replies_trades_and_bars() -> None:
    shuffled: list[Message] = [BAR, TRADE, FILL, TIMER, CONTROL]
    assert sorted(shuffled, key=lambda message: inbound_key(message, 1)) == [CONTROL, TIMER, FILL, TRADE, BAR]


def test_time_comes_first_then_class_instrument_and_source_sequence() -> None:
    earlier, other = at(BAR, ts_ns=NOW - 1), at(BAR, instrument=1)
    keys = [
        inbound_key(earlier, 9),
        inbound_key(TIMER, 9),
        inbound_key(BAR, 1),
        inbound_key(BAR, 2),
        inbound_key(other, 0),
    ]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)


def test_what_the_engine_makes_itself_has_no_place_among_arrivals() -> None:
    with pytest.raises(KeyError):
        inbound_key(OrderIntent(side=Side.BUY, qty_lots=1), 1)
