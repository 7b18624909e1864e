"""Orders that rest in the recorded book: the exchange fills them as the plain rules of the tick exchange do."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from njord.core.types import TimeInForce
from njord.core.units import NS_PER_MINUTE, NS_PER_S
from njord.exchange.market_open import Replay, open_replay
from njord.venues.tick_market import FILLED, Happening, TickOrder
from tests.property.tick_naive import Naive, Row
from tests.unit.exchange.exchange_case import Case

pytestmark = pytest.mark.integration

CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
BEGIN_NS = 30_000_000 * NS_PER_MINUTE
EVERY_S = 2
END_NS = BEGIN_NS + 150 * NS_PER_S


def _plainly(rows: Iterator[Any], orders: list[tuple[int, TickOrder]]) -> list[tuple[int, int, int, bool]]:
    """Return number, price, lots and whether it made of every fill until the end, by the plain rules."""
    naive, told, waiting = Naive("risk_averse", True), list[Happening](), list(orders)
    for row in _until_end(rows):
        while waiting and waiting[0][0] < row[1]:
            told += naive.told
            naive.add(waiting.pop(0)[1])  # What it tells begins anew.
        naive.row(row)
    told += naive.told
    return [
        (each.number, each.price_ticks, each.qty_lots, each.is_maker) for each in told if each.what is FILLED
    ]


def _until_end(blocks: Iterator[Any]) -> Iterator[Row]:
    for block in blocks:
        for row in zip(*(column.tolist() for column in block), strict=True):
            if row[1] > END_NS:
                return
            yield row


def test_orders_in_the_recorded_book_fill_by_its_rows_and_by_their_place_in_the_queue(
    recordings: Path,
) -> None:
    path = recordings / "capture" / CAPTURE
    with open_replay(Replay(data=(path,), speed=Fraction(1)), {}, BEGIN_NS) as replayed:
        balances = {"ETH": Decimal(10_000), "USDT": Decimal(10**9)}
        rows = replayed.market.venue_rows(0)
        case = Case(of=replayed.market, begin_ns=BEGIN_NS, balances=balances, weight_per_minute=10**6)
        rules = case.exchange.trading.rules.at(0)
        lots = int(Decimal(1) / rules.instrument.lot_size)
        orders: list[tuple[int, TickOrder]] = []
        for number in range(1, 60):
            case.now_ns = BEGIN_NS + number * EVERY_S * NS_PER_S
            case.exchange.advance(case.now_ns)
            bid, _, ask, _ = case.exchange.market.best(0)
            if not (bid and ask):
                continue
            side, ticks = ("BUY", bid) if number % 2 else ("SELL", ask)
            price = f"{rules.instrument.price(ticks):f}"
            case.place(symbol=rules.symbol, side=side, price=price, quantity="1", type="LIMIT")
            orders.append(
                (
                    case.now_ns,
                    TickOrder(
                        number=len(orders) + 1,
                        sign=1 if side == "BUY" else -1,
                        remaining_lots=lots,
                        limit_ticks=ticks,
                        tif=TimeInForce.GTC,
                    ),
                )
            )
        case.now_ns = END_NS
        case.exchange.advance(case.now_ns)
        trades = case.ask("GET", "myTrades", symbol=rules.symbol, limit=1000)
        told = [
            (
                row["orderId"],
                int(Decimal(row["price"]) / rules.instrument.tick_size),
                int(Decimal(row["qty"]) / rules.instrument.lot_size),
                row["isMaker"],
            )
            for row in trades
        ]
        expected = _plainly(rows, orders)
    assert len({number for number, *_ in expected}) > 10
    assert told == expected
