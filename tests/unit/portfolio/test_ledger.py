"""The ledger books fills at their marks and notices when money does not add up."""

from decimal import Decimal

import pytest

from njord.core.account import SpotAccount
from njord.core.contracts import PositionSnapshot, TradeEvent
from njord.core.errors import InvariantError
from njord.core.types import Side
from njord.portfolio.ledger import Ledger
from tests.property.strategies import START_NS, bar, fill_event, instrument


def ledger() -> Ledger:
    traded = instrument(tick_size=Decimal(1), lot_size=Decimal("0.1"))
    return Ledger(SpotAccount((traded,), "USDT", Decimal(1000)), 1)


def test_a_fill_becomes_a_snapshot_of_position_and_cash() -> None:
    books = ledger()
    handlers = books.handlers()
    handlers[type(fill_event())](fill_event(price_ticks=100, fee=Decimal(1)))
    told = handlers[type(fill_event())](fill_event(side=Side.SELL, price_ticks=110, qty_lots=5))
    assert told == (
        PositionSnapshot(
            ts_ns=START_NS,
            instrument=0,
            account_id="main",
            qty=Decimal("0.5"),
            cost=Decimal(50),
            realized_pnl=Decimal(5),
            fees=Decimal(1),
            cash=Decimal(954),
        ),
    )


def test_marks_follow_bars_and_trades() -> None:
    books = ledger()
    handlers = books.handlers()
    current = bar(0, 100, 120, 80, 110)
    handlers[type(current)](current)
    assert books.mark_ticks == [110]
    trade = TradeEvent(
        ts_ns=START_NS,
        instrument=0,
        price_ticks=90,
        qty_lots=1,
        side=Side.BUY,
        trade_id=1,
        ts_venue_ns=START_NS,
    )
    handlers[TradeEvent](trade)
    assert books.mark_ticks == [90]


def test_money_from_nowhere_stops_it_at_the_next_fill() -> None:
    books = ledger()
    handlers = books.handlers()
    current = bar(0, 100, 100, 100, 100)
    handlers[type(current)](current)
    books.account.cash += Decimal("0.00000001")
    with pytest.raises(InvariantError, match="are not capital"):
        handlers[type(fill_event())](fill_event(price_ticks=100))
