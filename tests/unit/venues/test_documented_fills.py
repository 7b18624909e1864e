"""Every row of the fill tables in docs/simulator-assumptions.md, played on the real simulated venue."""

import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from njord.core.contracts import Bar, BrokerAmendReq, BrokerFill, BrokerReject
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import BPS, NS_PER_MINUTE
from njord.venues.fees import FeeModel
from njord.venues.funding import FundingSchedule
from njord.venues.simulated import Report, SimulatedVenue
from tests.unit.venues.documented import change_of, request_of, terms_of, words_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "simulator-assumptions.md"
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
    """A venue as the page sets it up, and bars of a minute unless it says otherwise."""

    def __init__(self, start: str, is_numbered: bool) -> None:
        is_perpetual = "perpetual" in start
        is_linear = is_perpetual or "linear contract" in start
        self.instrument = instrument(InstrumentKind.LINEAR if is_linear else InstrumentKind.SPOT)
        money = re.search(r"cash (\d+)", start)
        hours = re.search(r"bars of (\d+) h", start)
        funding = re.search(r"funding (-?[\d.]+) bp", start)
        account = "perpetual" if is_perpetual else "margin" if "margin account" in start else "spot"
        schedule = FundingSchedule(rate=Decimal(funding[1]) * BPS if funding else Decimal(0))
        self.venue = SimulatedVenue(
            [self.instrument],
            FeeModel(maker_bps=Decimal(2), taker_bps=Decimal(10)),
            terms_of(start, 5, account=account, funding=schedule),
            Decimal(money[1]) if money else Decimal(10_000),
            "Q",
        )
        self.interval_ns = (60 * int(hours[1]) if hours else 1) * NS_PER_MINUTE
        self.now_ns = 0
        self.numbers: dict[str, int] = {}
        self.lots: dict[str, int] = {}
        self.is_numbered = is_numbered
        self.bar("100 100 100 100")
        if held := re.search(r"(held|short) ([\d.]+)", start):
            self.order(f"{'buy' if held[1] == 'held' else 'sell'} {held[2]} market", name="held")
            self.bar("100 100 100 100 v100000")
            self.numbers.clear()

    def order(self, text: str, name: str = "") -> str:
        """Place an order; return what the venue says at once, nothing if it works."""
        req = request_of(text, name or str(len(self.numbers) + 1), self.instrument, self.now_ns)
        self.numbers[req.client_order_id] = len(self.numbers) + 1
        self.lots[req.client_order_id] = req.qty_lots
        reply = self.venue.place(req)
        if not isinstance(reply, BrokerReject):
            return ""
        return f"rejected {reply.reason}"

    def happen(self, text: str) -> str:
        """Let a bar, a cancel, an amendment or the end happen; return what it does, in the page's words."""
        change = change_of(text, self.instrument, self.now_ns)
        if text == "end of data":
            return self.said(self.venue.expire_all(self.now_ns))
        if change is None:
            return self.bar(text)
        self.venue.amend(change) if isinstance(change, BrokerAmendReq) else self.venue.cancel(change)
        return self.said(self.venue.drain())

    def bar(self, text: str) -> str:
        """Let a bar happen."""
        *prices, volume = text.split() if " v" in text else [*text.split(), "v0"]
        open_, high, low, close = (self.instrument.exact_ticks(price) for price in prices)
        opens_ns, self.now_ns = self.now_ns, self.now_ns + self.interval_ns
        bar = Bar(
            ts_ns=self.now_ns,
            instrument=0,
            ts_open_ns=opens_ns,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume_lots=self.instrument.lots(volume[1:]),
        )
        return self.said(self.venue.on_bar(bar), opens_ns)

    def said(self, reports: list[Report], opens_ns: int = -1) -> str:
        """Return the venue's reports in the page's words."""

        def where(fill: BrokerFill) -> str:
            return " at the open" if fill.ts_venue_ns == opens_ns else " inside"

        words = words_of(reports, self.instrument, self.numbers, self.lots, where, self.is_numbered)
        return words or ("rests" if self.venue.n_working else "nothing")


def played(row: Row) -> str:
    """Return what really happens."""
    orders = row.orders.split("; ") if row.orders else []
    stage = Stage(row.start, len(orders) > 1)
    rejected = [said for text in orders if (said := stage.order(text))]
    return " / ".join(rejected or [stage.happen(text) for text in row.bars.split(" / ")])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_the_simulated_venue_does_what_the_page_says(row: Row) -> None:
    assert played(row) == row.outcome


def test_the_page_has_its_tables() -> None:
    assert len(ROWS) >= 90
    assert len({row.number for row in ROWS}) == len(ROWS)
