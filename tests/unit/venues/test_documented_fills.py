"""Every row of the fill tables in docs/simulator-assumptions.md, played on the real simulated venue."""

import re
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from njord.core.contracts import NO_PRICE, Bar, BrokerFill, BrokerOrderReq, BrokerReject
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderStatus, OrderType, Side, TimeInForce
from njord.core.units import NS_PER_MINUTE, plain
from njord.venues.fees import FeeModel
from njord.venues.simulated import Report, SimulatedVenue

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator-assumptions.md"
_ORDER = re.compile(r"(buy|sell) ([\d.]+) (?:market|limit ([\d.]+))( ioc)?")
_ROW = re.compile(r"^\| (\d+\w?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.M)


class Row(NamedTuple):
    """One line of a table: what was there, what was ordered, which bars came, and what the page says happens."""

    number: str
    start: str
    orders: str
    bars: str
    outcome: str


ROWS = [Row(*found) for found in _ROW.findall(PAGE.read_text(encoding="utf-8"))]


def instrument(kind: InstrumentKind) -> Instrument:
    """The instrument that the page describes."""
    return Instrument(
        symbol="X/Q",
        venue="test",
        base="X",
        quote="Q",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.01"),
        max_qty=Decimal(1000),
        min_notional=Decimal(5),
        kind=kind,
    )


class Stage:
    """A venue as the page sets it up, and a bar every minute."""

    def __init__(self, start: str) -> None:
        kind = InstrumentKind.LINEAR if "linear" in start else InstrumentKind.SPOT
        cash = re.search(r"cash (\d+)", start)
        self.instrument = instrument(kind)
        fees = FeeModel(maker_bps=Decimal(2), taker_bps=Decimal(10))
        money = Decimal(cash[1]) if cash else Decimal(10_000)
        self.venue = SimulatedVenue([self.instrument], fees, Decimal(5), money, "Q")
        self.minutes = count()
        self.names = count(1)
        self.numbers: dict[str, int] = {}
        self.bar("100 100 100 100")
        if held := re.search(r"held ([\d.]+)", start):
            self.order(f"buy {held[1]} market")
            self.bar("100 100 100 100")
            self.numbers.clear()

    def order(self, text: str) -> str:
        """Place an order; return what the venue says at once, nothing if it works."""
        found = _ORDER.fullmatch(text)
        assert found, f"no order: {text!r}"
        side = Side(found[1])
        name = str(next(self.names))
        self.numbers[name] = len(self.numbers) + 1
        reply = self.venue.place(
            BrokerOrderReq(
                instrument=0,
                symbol="X/Q",
                side=side,
                type=OrderType.LIMIT if found[3] else OrderType.MARKET,
                tif=TimeInForce.IOC if found[4] else TimeInForce.GTC,
                qty_lots=self.instrument.lots(found[2]),
                limit_price_ticks=self.instrument.exact_ticks(found[3]) if found[3] else NO_PRICE,
                reduce_only=False,
                client_order_id=name,
                ts_ns=0,
            )
        )
        return f"rejected {reply.reason}" if isinstance(reply, BrokerReject) else ""

    def bar(self, text: str) -> str:
        """Let a bar happen; return what it does to the orders, in the page's words."""
        if text == "end of data":
            return self.said(self.venue.expire_all(0))
        open_, high, low, close = (self.instrument.exact_ticks(price) for price in text.split())
        opens_ns = next(self.minutes) * NS_PER_MINUTE
        bar = Bar(
            ts_ns=opens_ns + NS_PER_MINUTE, instrument=0, ts_open_ns=opens_ns, open=open_, high=high, low=low, close=close
        )  # fmt: skip
        return self.said(self.venue.on_bar(bar), opens_ns)

    def said(self, reports: list[Report], opens_ns: int = 0) -> str:
        """Return the venue's reports in the page's words."""
        words = []
        for report in reports:
            which = f"{self.numbers.get(report.client_order_id)}: " if len(self.numbers) > 1 else ""
            if isinstance(report, BrokerFill):
                price = plain(self.instrument.price(report.price_ticks))
                role = "maker" if report.is_maker else "taker"
                where = "at the open" if report.ts_venue_ns == opens_ns else "inside"
                words.append(f"{which}{price} {role} {where}, fee {plain(report.fee)}")
            elif report.status is not OrderStatus.FILLED:
                words.append(f"{which}{report.status} {report.reason}")
        return "; ".join(words) or "rests"


def played(row: Row) -> str:
    """Return what really happens."""
    stage = Stage(row.start)
    rejected = [said for text in row.orders.split("; ") if (said := stage.order(text))]
    return " / ".join(rejected or [stage.bar(text) for text in row.bars.split(" / ")])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_the_simulated_venue_does_what_the_page_says(row: Row) -> None:
    assert played(row) == row.outcome


def test_the_page_has_its_tables() -> None:
    assert len(ROWS) >= 20
    assert len({row.number for row in ROWS}) == len(ROWS)
