"""Every row of the tables of ticks in docs/fill-models.md, played on the real simulated venue."""

import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from njord.core.contracts import BrokerAmendReq, BrokerReject
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.core.units import BPS, NS_PER_S
from njord.venues.fees import FeeModel
from njord.venues.funding import FundingSchedule
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.tick_market import MarketRows, TickMarket
from tests.unit.venues.documented import change_of, request_of, terms_of, words_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fill-models.md"
STEP_NS = 10 * NS_PER_S
_ROW = re.compile(r"^\| (T\d+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.M)
_EVENT = re.compile(r"([ba+-])(\d+)x(\d+)")
_KINDS = {"b": 1, "a": 2, "+": 3, "-": 4}


class Row(NamedTuple):
    """One line of a table: what differs, the book, what was ordered, what came then, and what the page says happens."""

    number: str
    start: str
    book: str
    orders: str
    then: str
    outcome: str


ROWS = [Row(*found) for found in _ROW.findall(PAGE.read_text(encoding="utf-8"))]


class Stage:
    """A venue whose market is written out: all of it is there before the first order, 10 s between two events."""

    def __init__(self, row: Row) -> None:
        is_perpetual = "perpetual" in row.start
        self.instrument = Instrument(
            symbol="X/Q",
            venue="test",
            base="X",
            quote="Q",
            tick_size=Decimal(1),
            lot_size=Decimal(1),
            kind=InstrumentKind.LINEAR if is_perpetual else InstrumentKind.SPOT,
        )
        money = re.search(r"cash (\d+)", row.start)
        funding = re.search(r"funding ([\d.]+) bp", row.start)
        self.venue = SimulatedVenue(
            [self.instrument],
            FeeModel(maker_bps=Decimal(0), taker_bps=Decimal(0)),
            terms_of(
                row.start,
                100 if "slippage" in row.start else 0,
                account="perpetual" if is_perpetual else "spot",
                liquidation_fee_bps=Decimal(0),
                funding=FundingSchedule(rate=Decimal(funding[1]) * BPS if funding else Decimal(0)),
            ),
            Decimal(money[1]) if money else Decimal(10_000),
            "Q",
        )
        self.venue.add_market(
            0,
            TickMarket(
                iter((_rows(row),)),
                queue_model="probability" if "probability" in row.start else "risk_averse",
                partial_fills="whole fills" not in row.start,
            ),
        )
        self.now_ns = 0
        self.numbers: dict[str, int] = {}
        self.lots: dict[str, int] = {}
        self.is_numbered = ";" in row.orders
        self.reached(1)
        if held := re.search(r"held (\d+)", row.start):
            self.order(f"buy {held[1]} market", "held")
            self.numbers.clear()

    def order(self, text: str, name: str = "") -> str:
        """Place an order; return what is known of it at once."""
        req = request_of(text, name or str(len(self.numbers) + 1), self.instrument, self.now_ns)
        self.numbers[req.client_order_id] = len(self.numbers) + 1
        self.lots[req.client_order_id] = req.qty_lots
        reply = self.venue.place(req)
        if isinstance(reply, BrokerReject):
            return f"rejected {reply.reason}"
        return self.said(self.venue.take(self.now_ns))

    def happen(self, text: str, step: int) -> str:
        """Let an event of the market come, or a change of an order; return what is known by then."""
        change = change_of(text, self.instrument, self.now_ns)
        if change is None:
            return self.reached(step * STEP_NS)
        self.venue.amend(change) if isinstance(change, BrokerAmendReq) else self.venue.cancel(change)
        return self.said(self.venue.take(self.now_ns))

    def reached(self, until_ns: int) -> str:
        """Run the venue to a time."""
        self.now_ns = until_ns
        reports: list[Report] = []
        while True:
            self.venue.advance(until_ns)
            taken = self.venue.take(until_ns)
            reports += taken
            if self.venue.server_time() >= until_ns and not taken:
                return self.said(reports)

    def said(self, reports: list[Report]) -> str:
        """Return the venue's reports in the page's words."""
        return words_of(reports, self.instrument, self.numbers, self.lots, lambda fill: "", self.is_numbered)

    def word_of(self, said: str) -> str:
        """Return what was said, or that there was nothing to say."""
        return said or ("rests" if self.venue.n_working else "nothing")


# The book and a trade at 100 stand at the beginning, each event after as many steps as it comes later.
def _rows(row: Row) -> MarketRows:
    rows = [] if "no trade yet" in row.start else [(3, 0, 100, 1)]
    rows += [(kind, 0, price, lots) for kind, price, lots in _events(row.book)]
    market = [text for text in row.then.split(" / ") if _EVENT.match(text)]
    for step, text in enumerate(market, start=1):
        rows += [(kind, step * STEP_NS, price, lots) for kind, price, lots in _events(text)]
    columns = zip(*rows, strict=True)
    kind, ts_ns, price, lots = (np.array(column, dtype=np.int64) for column in columns)
    return MarketRows(kind=kind, ts_ns=ts_ns, price_ticks=price, qty_lots=lots)


def _events(text: str) -> list[tuple[int, int, int]]:
    found = [_EVENT.fullmatch(part) for part in text.split()]
    assert all(found), f"no events: {text!r}"
    return [(_KINDS[each[1]], int(each[2]), int(each[3])) for each in found if each]


def played(row: Row) -> str:
    """Return what really happens."""
    stage = Stage(row)
    arrivals = "; ".join(said for text in row.orders.split("; ") if text and (said := stage.order(text)))
    outcomes, step = [stage.word_of(arrivals)], 0
    for text in row.then.split(" / ") if row.then else []:
        step += _EVENT.match(text) is not None
        outcomes.append(stage.word_of(stage.happen(text, step)))
    return " / ".join(outcomes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_the_simulated_venue_does_what_the_page_says(row: Row) -> None:
    assert played(row) == row.outcome


def test_the_page_has_its_tables() -> None:
    assert len(ROWS) >= 30
    assert len({row.number for row in ROWS}) == len(ROWS)
