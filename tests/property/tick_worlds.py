"""Random worlds of whole runs on ticks: markets, strategies of random wishes, terms; and the host that runs them."""

from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from njord.backtest.equity import EquityRecorder
from njord.backtest.recorder import Recorder
from njord.backtest.runner import HistoryHost
from njord.core.accounts import AccountTerms
from njord.core.config import Config
from njord.core.contracts import (
    AmendIntent,
    BookEvent,
    BrokerOrderReq,
    BrokerReject,
    BrokerReply,
    CancelIntent,
    FillEvent,
    Message,
    OrderIntent,
    OrderUpdate,
    RunStarted,
    TimerFired,
    TimerSet,
    TradeEvent,
)
from njord.core.types import InstrumentKind, Side, TimeInForce
from njord.core.units import NS_PER_MS
from njord.performance.streaming import EquityStatistics
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import Context
from njord.system import HostedSpec, System, SystemSpec
from njord.venues.fees import FeeModel
from njord.venues.funding import FundingSchedule
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import VenueTerms
from njord.venues.tick_market import TickMarket
from tests.golden.market import MemoryMarket, market_rows
from tests.property.strategies import START_NS, MemoryJournal
from tests.property.test_tick_market import MODELS, rows_of
from tests.property.tick_naive import ASK, BID, BUY, CLEAR, SELL, Row
from tests.property.venue_worlds import CAPITAL, FEES, TRADED, WISHES, Wish, requests

DELAYS = st.sampled_from([0, 0, 1, 4])


class World(msgspec.Struct, frozen=True):
    """What a run assumes, what happens and what is wanted; rows by instrument, times in ms from the start."""

    terms: VenueTerms
    fees: FeeModel
    rows: list[list[Row]]
    feed_delay: int
    model: str
    is_partial: bool
    wishes: list[list[Wish]]
    lots_scale: int


def _funding(times: list[int]) -> FundingSchedule:
    return FundingSchedule(
        rates=tuple((START_NS + at * NS_PER_MS, Decimal(at - 20).scaleb(-3)) for at in sorted(times))
    )


def _samples(entry: list[int], response: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(entry, np.int64) * NS_PER_MS, np.array(response, np.int64) * NS_PER_MS


DRAWN = st.lists(st.integers(0, 6), min_size=1, max_size=3)
LATENCIES = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {f"{way}_latency_ns": st.sampled_from([0, NS_PER_MS, 5 * NS_PER_MS]) for way in ("entry", "response")}
    ),
    st.builds(_samples, DRAWN, DRAWN).map(lambda samples: {"latency_samples": samples}),
)
ACCOUNTS = st.one_of(
    st.just({"account": "spot"}),
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["margin", "perpetual", "perpetual"]),
            "leverage": st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(20)]),
        }
    ),
)
TERMS = st.builds(
    lambda account, latency, **others: VenueTerms(**account, **latency, **others),
    ACCOUNTS,
    LATENCIES,
    slippage_bps=st.sampled_from([Decimal(0), Decimal(120)]),
    self_trade=st.sampled_from(["none", "expire_taker", "expire_maker", "expire_both"]),
    maintenance_margin_bps=st.sampled_from([Decimal(50), Decimal(400)]),
    funding=st.lists(st.integers(0, 50), max_size=4, unique=True).map(_funding),
    seed=st.integers(0, 3),
)
WORLDS = st.builds(
    World,
    terms=TERMS,
    fees=FEES,
    rows=st.lists(st.booleans().flatmap(rows_of), min_size=2, max_size=2),
    feed_delay=DELAYS,
    model=MODELS,
    is_partial=st.booleans(),
    wishes=st.lists(WISHES, min_size=2, max_size=2),
    lots_scale=st.sampled_from([1, 30]),
)


def at_ns(time: int) -> int:
    """Return a row's time."""
    return START_NS + time * NS_PER_MS


class Wishing(Strategy):
    """Wants what its wishes say, up to three of them in one callback, with some callbacks in between."""

    def __init__(self, index: int, wishes: list[Wish], scale: int) -> None:
        super().__init__(StrategyParams())
        scaled = [
            msgspec.structs.replace(each, instrument=index, qty_lots=each.qty_lots * scale) for each in wishes
        ]
        self._lines = _lines(scaled)

    def _next(self, ctx: Context) -> Proposals:
        line = next(self._lines, [])
        found: list[Any] = []
        for wish in line:
            working = ctx.open_orders
            if working and wish.cancel_at % 4 == 0:
                name = working[wish.cancel_at % len(working)].client_order_id
                found.append(CancelIntent(client_order_id=name))
            if working and wish.amend_at % 3 == 0:
                lots, limit, trigger = wish.amend
                order = working[wish.amend_at % len(working)]
                found.append(
                    AmendIntent(
                        client_order_id=order.client_order_id,
                        qty_lots=0 if order.group_id else lots,
                        limit_price_ticks=limit,
                        trigger_price_ticks=trigger,
                    )
                )
            if wish.at == 7:
                found.append(TimerSet(key="on", due_ns=ctx.ts_ns + wish.trail * NS_PER_MS // 2))
        return found + [_intent(req, wish, ctx.ts_ns) for wish, req in requests(line)]

    def on_trade(self, ctx: Context, trade: TradeEvent) -> Proposals:
        return self._next(ctx)

    def on_fill(self, ctx: Context, fill: FillEvent) -> Proposals:
        return self._next(ctx)

    def on_order(self, ctx: Context, update: OrderUpdate) -> Proposals:
        return self._next(ctx)

    def on_timer(self, ctx: Context, timer: TimerFired) -> Proposals:
        return self._next(ctx)


# Lines of one to three wishes; the first one's number says how many callbacks pass before.
def _lines(wishes: list[Wish]) -> Iterator[list[Wish]]:
    left = iter(wishes)
    for first in left:
        for _ in range(first.amend_at % 5):
            yield []
        yield [first, *islice(left, first.trail % 3)]


def _intent(req: BrokerOrderReq, wish: Wish, now_ns: int) -> OrderIntent:
    return OrderIntent(
        intent_id=req.client_order_id,
        side=req.side,
        type=req.type,
        tif=req.tif,
        qty_lots=req.qty_lots,
        limit_price_ticks=req.limit_price_ticks,
        reduce_only=req.reduce_only,
        post_only=req.post_only,
        trigger_price_ticks=req.trigger_price_ticks,
        trail_ticks=req.trail_ticks,
        expire_ns=now_ns + wish.trail * NS_PER_MS if req.tif is TimeInForce.GTD else 0,
        group_id=req.group_id,
        after_intent_id=req.after_client_order_id,
    )


class Heard(SimulatedVenue):
    """A venue of which everything that it was asked and said is kept."""

    placed: dict[str, BrokerOrderReq]
    heard: list[tuple[Report, None]]

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        reply = super().place(req)
        if not isinstance(reply, BrokerReject):
            self.placed[req.client_order_id] = req
        return reply

    def take(self, until_ns: int) -> list[Report]:
        reports = super().take(until_ns)
        self.heard += [(report, None) for report in reports]
        return reports

    def expire_all(self, ts_ns: int) -> list[Report]:
        reports = super().expire_all(ts_ns)
        self.heard += [(report, None) for report in reports]
        return reports


class Run:
    """One run of a world through the history host."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = MemoryJournal()
        self.market = _market(world)
        self.system = system_of(world, self.journal)
        self.venue = Heard(TRADED, world.fees, world.terms, CAPITAL, "USDT")
        self.placed = self.venue.placed = {}
        self.seen = self.venue.heard = []
        for index in range(len(TRADED)):
            rows = self.market.tick_rows(index)
            assert rows is not None
            self.venue.add_market(
                index, TickMarket(rows, queue_model=world.model, partial_fills=world.is_partial)
            )
        is_perpetual = world.terms.account == "perpetual"
        settled = [is_perpetual and each.kind is not InstrumentKind.SPOT for each in TRADED]
        host = HistoryHost(
            self.system,
            self.venue,
            self.market,
            "main",
            Recorder(TRADED),
            EquityRecorder(TRADED, CAPITAL, BytesIO(), settled, NS_PER_MS),
            EquityStatistics(capital=float(CAPITAL), interval_ns=NS_PER_MS),
        )
        host.run(_started())


def _market(world: World) -> MemoryMarket:
    messages: list[Message] = []
    for index, rows in enumerate(world.rows):
        messages += [_message(index, number, row, world) for number, row in enumerate(rows, 1)]
    messages.sort(key=lambda message: message.ts_ns)
    at_venue = {
        index: market_rows(
            [(kind, at_ns(ts), price, lots * world.lots_scale) for kind, ts, price, lots in rows]
        )
        for index, rows in enumerate(world.rows)
    }
    return MemoryMarket(TRADED, messages, START_NS, at_venue)


def _message(index: int, number: int, row: Row, world: World) -> Message:
    kind, time, price, lots = row
    ts_ns, lots = at_ns(time), lots * world.lots_scale
    known_ns = ts_ns + world.feed_delay * NS_PER_MS
    if kind in (BUY, SELL):
        side = Side.BUY if kind == BUY else Side.SELL
        return TradeEvent(
            ts_ns=known_ns,
            instrument=index,
            price_ticks=price,
            qty_lots=lots,
            side=side,
            trade_id=number,
            ts_venue_ns=ts_ns,
        )
    return BookEvent(
        ts_ns=known_ns,
        instrument=index,
        bids=((price, lots),) if kind == BID else (),
        asks=((price, lots),) if kind == ASK else (),
        is_snapshot=kind == CLEAR,
        first_update_id=number,
        last_update_id=number,
        ts_venue_ns=ts_ns,
    )


def system_of(world: World, journal: MemoryJournal) -> System:
    terms = world.terms
    objects = tuple(
        (index, Wishing(index, wishes, world.lots_scale)) for index, wishes in enumerate(world.wishes)
    )
    spec = SystemSpec(
        run_id="run",
        account_id="main",
        report_asset="USDT",
        capital=CAPITAL,
        instruments=TRADED,
        strategies=(HostedSpec(strategy_id="wishing", objects=objects),),
        risk_profile="research",
        risk_rules=Config().risk.profiles["research"].rules,
        cost_bps=Decimal(20),
        account=AccountTerms(kind=terms.account, leverage=terms.leverage),
    )
    return System(spec, journal)


def _started() -> RunStarted:
    return RunStarted(
        ts_ns=START_NS,
        run_id="run",
        config_hash="",
        code_hash="",
        seed=0,
        account_id="main",
        report_asset="USDT",
        capital=CAPITAL,
        instruments=TRADED,
        strategies=(),
        risk_profile="research",
    )
