"""Cuts, noise and the comparison: what is real stays real, what is later does not, and nothing that differs gets by."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from njord.backtest.market import Market
from njord.backtest.market_view import MarketView
from njord.backtest.noise import Noise
from njord.backtest.poison import check
from njord.backtest.poison_cuts import everyday, whole_run
from njord.backtest.poison_fills import audit_fills
from njord.backtest.poison_market import SHORT_ROWS, PoisonedMarket
from njord.backtest.poison_tape import CutReached, CutTape, Differs
from njord.backtest.utc import at
from njord.core.contracts import (
    VENUE,
    BookEvent,
    BrokerOrderReq,
    BrokerReject,
    BrokerReply,
    Message,
    Ref,
    Target,
    TickerEvent,
    TradeEvent,
)
from njord.core.types import OrderReason, Side
from njord.storage.journal import JournalWriter
from njord.strategies.features import BarColumns
from njord.venues.simulated import SimulatedVenue
from njord.venues.tick_market import MarketRows
from tests.property.strategies import START_NS, bar, fill_event, order_event
from tests.unit.backtest.poison_run import HEADER, Run, poisoned, run

pytestmark = pytest.mark.integration

MINUTE_NS = 60_000_000_000
QUIET = """
    def on_bar(self, ctx, bar):
        return None
"""
SMALL = ("fast=3", "slow=8")


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Run]:
    with run(tmp_path, HEADER + QUIET, n_bars=1_000) as which:
        yield which


# --- verdicts ---


def test_a_clean_strategy_passes_and_the_verdict_says_how_much_was_compared(tmp_path: Path) -> None:
    with run(tmp_path, "sma_cross", SMALL) as which:
        verdict = poisoned(which, n_cuts=4)
        assert verdict == poisoned(which, n_cuts=4)
        other = poisoned(which, n_cuts=4, seed=2)
    assert verdict.passed and not verdict.leaks and not verdict.acausal_fills and not verdict.notes
    assert (verdict.n_cuts, verdict.n_cuts_asked, verdict.n_events) == (4, 4, 400)
    assert verdict.n_decisions > 40 and verdict.n_fills > 20
    assert 100 < verdict.n_events_covered <= 400 and verdict.n_events_replayed > 300
    assert other.passed and other.n_events_replayed != verdict.n_events_replayed


def test_the_everyday_check_replays_a_seventh_of_the_run_at_most(tmp_path: Path) -> None:
    with run(tmp_path, "sma_cross", SMALL, n_bars=1_000) as which:
        verdict = check(which.prepared, which.prepared.market, which.folder, 3, 42)
        many = check(which.prepared, which.prepared.market, which.folder, 50, 42)
    assert verdict.passed and verdict.n_cuts == 3 and verdict.n_decisions
    assert verdict.n_events_covered <= 200 and verdict.n_events_replayed <= 143
    assert 2 <= many.n_cuts < 50 and many.n_events_replayed <= 143
    assert many.notes == [
        f"{many.n_cuts} of 50 cuts: a run of 1000 events leaves no room for more between the warm-up and the share of it "
        "that may be replayed; more with: njord poison"
    ]


def test_a_warm_up_beyond_the_share_leaves_no_cut_and_says_so(tmp_path: Path) -> None:
    with run(tmp_path, "sma_cross", ("fast=3", "slow=90")) as which:
        verdict = check(which.prepared, which.prepared.market, which.folder, 3, 42)
    assert (verdict.n_cuts, verdict.n_events_replayed) == (0, 0)
    assert verdict.notes[0].startswith("0 of 3 cuts: a run of 400 events")


RAISES_ON_NOISE = """
    def precompute(self, bars):
        if bars.close.max() > 4_000 or bars.close.min() < 1_500:
            raise ValueError("that is no price")
        return {"x": bars.close_price}

    def on_bar(self, ctx, bar):
        return Target(weight=0.5)
"""


def test_a_strategy_that_fails_on_what_comes_later_has_seen_it(tmp_path: Path) -> None:
    with run(tmp_path, HEADER + RAISES_ON_NOISE) as which:
        assert not which.error
        leak = poisoned(which, n_cuts=1).leaks[0]
    assert leak.kind == "StrategySuspended" and "that is no price" in leak.derived
    assert leak.read.startswith("on_bar of case at 2024-01-01T00:01")


COUNTS = """
    def precompute(self, bars):
        self.n = len(bars)

    def on_bar(self, ctx, bar):
        return Target(weight=1 / self.n)
"""


def test_how_long_the_recording_is_belongs_to_the_future(tmp_path: Path) -> None:
    with run(tmp_path, HEADER + COUNTS, n_bars=120) as which:
        leaks = poisoned(which, n_cuts=3).leaks
    assert leaks and {leak.kind for leak in leaks} == {"Target"}


TWO_FEATURES = """
    def precompute(self, bars):
        return {"a": np.append(bars.close_price[1:], np.nan), "b": bars.close_price - bars.close_price.mean()}

    def on_bar(self, ctx, bar):
        return Target(weight=0.5 if ctx.feature("b") > 0 else 0.0)
"""


def test_of_several_features_the_one_that_changed_earliest_is_named(tmp_path: Path) -> None:
    with run(tmp_path, HEADER + TWO_FEATURES, n_bars=60) as which:
        leaks = poisoned(which, n_cuts=2).leaks
    assert leaks and all(leak.read.startswith("feature 'b' at 2024-01-01T00:01 ") for leak in leaks)


class ClairvoyantVenue(SimulatedVenue):
    """Refuses what would fill higher than it was decided at: it looks the next open up."""

    market: Market

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        columns = self.market.columns(req.instrument)
        assert columns is not None
        row = int(np.searchsorted(columns.ts_ns, req.ts_ns, side="right"))
        if row < len(columns) and columns.open[row] > columns.open[row - 1]:
            refused = OrderReason.FILTER_PRICE
            return BrokerReject(
                client_order_id=req.client_order_id, reason=refused, detail="", ts_venue_ns=req.ts_ns
            )
        return super().place(req)


def test_a_venue_that_knows_the_price_of_a_future_fill_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from njord.backtest import simulation

    honest = simulation.venue_of

    def clairvoyant(spec: Any, settings: Any, market: Market) -> SimulatedVenue:
        venue = honest(spec, settings, market)
        venue.__class__ = ClairvoyantVenue
        vars(venue)["market"] = market
        return venue

    monkeypatch.setattr(simulation, "venue_of", clairvoyant)
    text = HEADER + "    def on_bar(self, ctx, bar):\n        return Target(weight=0.1 * (ctx.n_bars % 3))\n"
    with run(tmp_path, text, n_bars=100) as which:
        leaks = poisoned(which).leaks
    assert leaks
    assert leaks[0].kind == "OrderUpdate" and leaks[0].read.startswith(
        "the venue: its OrderUpdate depends on"
    )


# --- cuts ---


@pytest.mark.parametrize("warm_up", [0, 30, 190])
def test_everyday_cuts_lie_between_the_warm_up_and_the_first_fifth(quiet: Run, warm_up: int) -> None:
    for seed in range(20):
        cuts = everyday(quiet.prepared.market, 3, seed, warm_up)
        positions = [cut.n_events for cut in cuts]
        assert positions == sorted(set(positions)) and sum(positions) <= 250
        assert all(warm_up < position <= 200 for position in positions)
        assert cuts == everyday(quiet.prepared.market, 3, seed, warm_up)


def test_cuts_of_the_whole_run_lie_anywhere_at_bars_and_within_them(quiet: Run) -> None:
    cuts = whole_run(quiet.prepared.market, 60, 7, 100)
    assert len({cut.n_events for cut in cuts}) == len(cuts) > 50
    assert min(cut.n_events for cut in cuts) > 100 and max(cut.n_events for cut in cuts) > 900
    start_ns = quiet.prepared.market.start_ns
    within = [(cut.ts_ns - start_ns) % MINUTE_NS for cut in cuts]
    assert all((cut.ts_ns - start_ns) // MINUTE_NS == cut.n_events for cut in cuts)
    assert 20 < sum(1 for each in within if each) < 40
    assert {cut.is_short for cut in cuts} == {True, False}


# --- noise ---


def columns_of(which: Run) -> BarColumns:
    columns = which.prepared.market.columns(0)
    assert columns is not None
    return columns


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("n_known", [0, 1, 100, 400, 990])
def test_columns_are_real_until_the_cut_and_other_bars_after_it(
    quiet: Run, n_known: int, is_short: bool
) -> None:
    real = columns_of(quiet)
    cut_ns = quiet.prepared.market.start_ns + n_known * MINUTE_NS
    market = PoisonedMarket(quiet.prepared.market, cut_ns, (1, 2), is_short)
    other = market.columns(0)
    assert other is not None
    n_rows = min(999, n_known + max(SHORT_ROWS, n_known)) if is_short else 1_000
    assert len(other) == n_rows
    for name in ("open", "high", "low", "close", "volume_lots"):
        known, later = getattr(other, name)[:n_known], getattr(other, name)[n_known:]
        assert (known == getattr(real, name)[:n_known]).all()
        assert (later != getattr(real, name)[n_known:n_rows]).mean() > 0.8
    assert (other.ts_ns == real.ts_ns[:n_rows]).all() and (other.ts_open_ns == real.ts_open_ns[:n_rows]).all()
    assert (other.low >= 1).all() and (other.low <= np.minimum(other.open, other.close)).all()
    assert (other.high >= np.maximum(other.open, other.close)).all()
    again = PoisonedMarket(quiet.prepared.market, cut_ns, (1, 2), is_short).columns(0)
    assert again is not None and (again.close == other.close).all()


def test_messages_are_real_until_the_cut_and_then_a_little_noise(quiet: Run) -> None:
    market = quiet.prepared.market
    real = [message for block in market.blocks() for message in block.messages]
    cut_ns = market.start_ns + 500 * MINUTE_NS + 1
    told = [
        message
        for block in PoisonedMarket(market, cut_ns, (1,), False).blocks()
        for message in block.messages
    ]
    assert told[:500] == real[:500] and 500 < len(told) < 600
    assert all(
        one.ts_ns == two.ts_ns and one != two for one, two in zip(told[500:], real[500:], strict=False)
    )


class TickMarketOf(MarketView):
    """A market of the given blocks of venue rows."""

    def __init__(self, blocks: list[MarketRows]) -> None:
        self._blocks = blocks

    def tick_rows(self, instrument: int) -> Iterator[MarketRows]:
        return iter(self._blocks)


def test_the_venues_rows_are_cut_by_their_own_time_and_stay_a_book() -> None:
    ts_ns = np.arange(8)
    kind = np.array([1, 2, 3, 1, 5, 1, 2, 4])
    price = np.array([99, 100, 100, 99, 0, 99, 100, 99])
    lots = np.array([5, 6, 1, 0, 0, 3, 4, 1])
    blocks = [MarketRows(kind, ts_ns + shift, price, lots) for shift in (0, 8)]
    market = PoisonedMarket(TickMarketOf(blocks), 4, (3,), False)
    rows = market.tick_rows(0)
    assert rows is not None
    first, second = rows
    for rows_, n_known in ((first, 5), (second, 0)):
        assert (rows_.kind == kind).all()
        assert (rows_.price_ticks[:n_known] == price[:n_known]).all()
        assert (rows_.qty_lots[:n_known] == lots[:n_known]).all()
    assert (first.price_ticks[5:] > price[5:]).all() and first.price_ticks[5] < first.price_ticks[6]
    assert (second.qty_lots != lots).any()
    assert second.price_ticks[4] == 0 and (second.qty_lots[[3, 4]] == 0).all()
    assert (second.qty_lots[[0, 1, 2, 5, 6, 7]] > 0).all()


def test_every_message_of_a_market_has_its_noise() -> None:
    when: dict[str, Any] = {"ts_ns": 5, "instrument": 0, "ts_venue_ns": 4}
    ids = {"first_update_id": 1, "last_update_id": 1}
    book = BookEvent(bids=((99, 5), (98, 0)), asks=((100, 5),), is_snapshot=False, **ids, **when)
    trade = TradeEvent(price_ticks=99, qty_lots=5, side=Side.BUY, trade_id=1, **when)
    ticker = TickerEvent(bid_ticks=99, ask_ticks=100, last_ticks=0, **when)
    noise = Noise((1,))
    for message in (book, trade, ticker, bar(1, 5, 7, 4, 6)):
        other = noise.message(message)
        assert other != message and type(other) is type(message) and other.ts_ns == message.ts_ns
    changed = noise.message(book)
    assert isinstance(changed, BookEvent) and changed.bids[0][0] < changed.asks[0][0]
    assert [lots == 0 for _, lots in changed.bids] == [False, True]
    quoted = noise.message(ticker)
    assert isinstance(quoted, TickerEvent) and quoted.last_ticks == 0 and quoted.bid_ticks < quoted.ask_ticks
    assert noise.message(order_event()) == order_event()
    prices = noise.prices(np.arange(1, 2_000))
    assert all(low < high for low, high in pairwise(prices.tolist())) and (prices > np.arange(1, 2_000)).all()


# --- the comparison ---

REF = Ref(ts_ns=bar(0, 1, 1, 1, 1).ts_ns, dataset_hash="x", instrument=0, first_row=0, last_row=3)
BARS = [bar(number, 9, 9, 9, 9) for number in range(4)]
TARGET = Target(ts_ns=BARS[1].ts_ns, strategy_id="s", weight=0.5)
RECORDED: list[Message] = [REF, BARS[0], BARS[1], TARGET, BARS[2], BARS[3]]


def compare(folder: Path, messages: list[Message], cut_ns: int) -> CutTape:
    if not folder.exists():
        journal = JournalWriter(folder)
        for message in RECORDED:
            journal.append(message)
        journal.close()
    tape = CutTape(folder, cut_ns)
    try:
        for message in messages:
            tape.append(message)
        tape.finish()
    finally:
        tape.close()
    return tape


def test_the_same_messages_are_no_difference_and_decisions_are_counted(tmp_path: Path) -> None:
    tape = compare(tmp_path / "j", RECORDED[:5], BARS[2].ts_ns)
    assert (tape.n_messages, tape.n_decisions) == (5, 1)
    with pytest.raises(CutReached):
        compare(tmp_path / "j", RECORDED, BARS[2].ts_ns)
    # What comes after the cut may be whatever it is.
    with pytest.raises(CutReached):
        compare(tmp_path / "j", [*RECORDED[:5], replace(TARGET, ts_ns=BARS[3].ts_ns)], BARS[2].ts_ns)


LATER = replace(TARGET, ts_ns=BARS[2].ts_ns)


@pytest.mark.parametrize(
    ("messages", "seq", "kind", "cause", "expected", "derived"),
    [
        ([*RECORDED[:3], replace(TARGET, weight=0.4)], 4, Target, BARS[1], "0.5", "0.4"),
        ([*RECORDED[:3], BARS[2]], 4, Target, BARS[1], "0.5", ""),
        ([*RECORDED[:3], BARS[3]], 4, Target, BARS[1], "0.5", ""),
        (RECORDED[:3], 4, Target, BARS[1], "0.5", ""),
        ([*RECORDED[:5], LATER], 6, Target, BARS[2], "", "0.5"),
        ([REF, BARS[0], replace(TARGET, ts_ns=1)], 3, Target, BARS[0], "", "0.5"),
    ],
)
def test_a_message_that_is_another_missing_or_too_much_is_named(
    messages: list[Message], seq: int, kind: type, cause: Message, expected: str, derived: str, tmp_path: Path
) -> None:
    with pytest.raises(Differs) as caught:
        compare(tmp_path / "j", messages, BARS[2].ts_ns)
    found = caught.value
    assert (found.seq, type(found.message), found.cause) == (seq, kind, cause)
    assert expected in found.expected and bool(expected) is bool(found.expected)
    assert derived in found.derived and bool(derived) is bool(found.derived)


# --- fills ---


@pytest.mark.parametrize(
    ("order_ns", "latency_ns", "known", "venue_ns", "is_causal"),
    [
        (0, 0, 1, 0, True),  # Decided on the close of one bar, filled at the open of the next.
        (0, 0, 1, MINUTE_NS, True),  # Inside it.
        (0, 0, 0, 0, False),  # Known in the moment of the order: by the bar that decided it.
        (1, 0, 1, 1, False),  # Sent while the bar was under way, filled by it.
        (0, 0, 1, -1, False),  # The venue itself says it was before.
        (0, MINUTE_NS // 2, 1, 0, True),  # Latency below one bar changes nothing.
        (0, MINUTE_NS, 1, 0, False),
        (0, MINUTE_NS, 2, MINUTE_NS, True),
    ],
)
def test_a_fill_comes_from_a_bar_that_opened_after_its_order(
    order_ns: int, latency_ns: int, known: int, venue_ns: int, is_causal: bool, quiet: Run, tmp_path: Path
) -> None:
    journal = JournalWriter(tmp_path / "run" / "journal")
    journal.append(order_event(ts_ns=START_NS + order_ns))
    fill = fill_event(ts_ns=START_NS + known * MINUTE_NS, ts_venue_ns=START_NS + venue_ns)
    journal.append(fill)
    journal.append(replace(fill, strategy_id=VENUE, client_order_id="LIQUIDATION-1", ts_ns=0, ts_venue_ns=0))
    journal.close()
    n_fills, found = audit_fills(tmp_path / "run", quiet.prepared.market, latency_ns)
    assert n_fills == 1
    assert [each.seq for each in found] == ([] if is_causal else [2])


@pytest.mark.parametrize(
    ("ts_ns", "text"),
    [
        (0, "1970-01-01T00:00"),
        (1_704_067_201_000_000_000, "2024-01-01T00:00:01"),
        (1_704_067_201_250_000_000, "2024-01-01T00:00:01.25"),
        (1_704_067_200_000_000_001, "2024-01-01T00:00:00.000000001"),
    ],
)
def test_a_moment_is_written_with_as_much_of_the_second_as_there_is(ts_ns: int, text: str) -> None:
    assert at(ts_ns) == text
