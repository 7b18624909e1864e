"""Random worlds for the simulated venue: bars, orders of all types with links, amendments and cancels, and the terms."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from njord.core.contracts import (
    Bar,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderAck,
    BrokerOrderReq,
)
from njord.core.types import InstrumentKind, OrderType, Side, TimeInForce
from njord.venues.fees import FeeModel, FeeTier
from njord.venues.funding import FundingSchedule
from njord.venues.simulated import Report, SimulatedVenue
from njord.venues.terms import VenueTerms
from tests.property.strategies import INTERVAL_NS, START_NS, bar_series, instrument

TRADED = (
    instrument("BTC/USDT", tick_size=Decimal("0.5"), lot_size=Decimal("0.01"), money_scale=5),
    instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal("0.25"), lot_size=Decimal("0.1")),
)
CAPITAL, LOTS_MAX = Decimal(500), 60
TIERS = (FeeTier(volume_notional=Decimal(300), maker_bps=Decimal(-5), taker_bps=Decimal(10)),)
THIRD_NS = INTERVAL_NS // 3


class Wish(msgspec.Struct, frozen=True):
    """An order before it has an id; times in thirds of a bar from the start. `role` links it with the ones before."""

    at: int
    instrument: int
    side: Side
    type: OrderType
    tif: TimeInForce
    qty_lots: int
    limit: int
    trigger: int
    trail: int
    flags: str
    role: str
    cancel_at: int
    amend_at: int
    amend: tuple[int, int, int]


class World(msgspec.Struct, frozen=True):
    """What a run assumes, what it sees and what it wants."""

    terms: VenueTerms
    fees: FeeModel
    bars: list[Bar]
    wishes: list[Wish]


def _volume(bar: Bar) -> Bar:
    return msgspec.structs.replace(bar, volume_lots=(bar.high * 31 + bar.low * 17 + bar.close) % 150)


PRICE = st.integers(84, 118)
WISHES = st.lists(
    st.builds(
        Wish,
        at=st.integers(0, 15),
        instrument=st.integers(0, 1),
        side=st.sampled_from(Side),
        type=st.sampled_from([*OrderType, OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT]),
        tif=st.sampled_from([*TimeInForce, TimeInForce.GTC, TimeInForce.GTC]),
        qty_lots=st.integers(1, LOTS_MAX),
        limit=PRICE,
        trigger=PRICE,
        trail=st.integers(1, 12),
        flags=st.sampled_from(["", "", "", "reduce", "post"]),
        role=st.sampled_from(["", "", "group", "exit", "exit", "exit"]),
        cancel_at=st.integers(0, 60),
        amend_at=st.integers(0, 40),
        amend=st.tuples(
            st.integers(0, LOTS_MAX), st.sampled_from([0, 90, 100, 110]), st.sampled_from([0, 95, 105])
        ),
    ),
    min_size=4,
    max_size=12,
)
TERMS = st.builds(
    VenueTerms,
    slippage_bps=st.sampled_from([Decimal(0), Decimal(120)]),
    slippage_model=st.sampled_from(["fixed", "linear", "square_root"]),
    impact_bps=st.sampled_from([Decimal(0), Decimal(300)]),
    max_volume_share=st.sampled_from([Decimal(0), Decimal(0), Decimal("0.25")]),
    self_trade=st.sampled_from(["none", "expire_taker", "expire_maker", "expire_both"]),
    account=st.sampled_from(["margin", "perpetual", "perpetual"]),
    leverage=st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(10)]),
    maintenance_margin_bps=st.sampled_from([Decimal(50), Decimal(400)]),
    funding=st.lists(st.integers(0, 36), max_size=4, unique=True).map(
        lambda thirds: FundingSchedule(
            rates=tuple((START_NS + at * THIRD_NS, Decimal(at - 9).scaleb(-3)) for at in sorted(thirds))
        )
    ),
)
SPOT_TERMS = st.builds(
    VenueTerms, slippage_bps=st.just(Decimal(30)), max_volume_share=st.just(Decimal("0.5"))
)
FEES = st.builds(
    FeeModel,
    maker_bps=st.sampled_from([Decimal(-5), Decimal(2)]),
    taker_bps=st.sampled_from([Decimal(0), Decimal(20)]),
    fee_asset=st.sampled_from(["quote", "quote", "received"]),
    tiers=st.sampled_from([(), TIERS]),
)
WORLDS = st.builds(
    World,
    terms=st.one_of(TERMS, TERMS, TERMS, SPOT_TERMS),
    fees=FEES,
    bars=bar_series(n_instruments=2).map(lambda bars: [_volume(each) for each in bars]),
    wishes=WISHES,
)


def requests(wishes: list[Wish]) -> list[tuple[Wish, BrokerOrderReq]]:
    """Turn wishes into orders: a group joins the order before, an exit closes the newest entry of its instrument."""
    made: list[tuple[Wish, BrokerOrderReq]] = []
    for number, wish in enumerate(sorted(wishes, key=lambda each: each.at)):
        kind = wish.type
        req = BrokerOrderReq(
            instrument=wish.instrument,
            symbol=TRADED[wish.instrument].symbol,
            side=wish.side,
            type=kind,
            tif=wish.tif,
            qty_lots=wish.qty_lots,
            limit_price_ticks=wish.limit if kind.has_limit else 0,
            reduce_only=wish.flags == "reduce",
            client_order_id=f"c{number}",
            ts_ns=START_NS + wish.at * THIRD_NS,
            post_only=wish.flags == "post" and kind.has_limit,
            trigger_price_ticks=wish.trigger if kind.has_trigger else 0,
            trail_ticks=wish.trail if kind is OrderType.TRAILING_STOP else 0,
            expire_ns=START_NS + (wish.at + 1 + wish.trail) * THIRD_NS if wish.tif is TimeInForce.GTD else 0,
        )
        if wish.role == "group" and made:
            req = _grouped(req, made[-1][1])
        if wish.role == "exit":
            req = _exit(req, [each for _, each in made])
        made.append((wish, req))
        if wish.role == "group" and made[:-1]:
            before = made[-2]
            made[-2] = (before[0], msgspec.structs.replace(before[1], group_id=req.group_id))
    return made


def _grouped(req: BrokerOrderReq, before: BrokerOrderReq) -> BrokerOrderReq:
    return msgspec.structs.replace(
        req,
        group_id=before.group_id or f"g{before.client_order_id}",
        instrument=before.instrument,
        symbol=before.symbol,
        side=before.side,
        after_client_order_id=before.after_client_order_id,
    )


def _exit(req: BrokerOrderReq, before: list[BrokerOrderReq]) -> BrokerOrderReq:
    entries = [each for each in before if not each.after_client_order_id]
    if not entries:
        return req
    entry = entries[-1]
    return msgspec.structs.replace(
        req,
        instrument=entry.instrument,
        symbol=entry.symbol,
        side=entry.side.opposite,
        qty_lots=min(req.qty_lots, entry.qty_lots),
        after_client_order_id=entry.client_order_id,
        group_id=f"x{entry.client_order_id}",
    )


class Run:
    """Plays a world on the venue; `seen` is every report with the bar that brought it (None: between bars)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.venue = SimulatedVenue(TRADED, world.fees, world.terms, CAPITAL, "USDT")
        self.placed: dict[str, BrokerOrderReq] = {}
        self.seen: list[tuple[Any, Bar | None]] = []
        for kind, at, payload in sorted(self._acts(), key=lambda act: act[:2][::-1]):
            getattr(self, kind)(payload, at)
        self._take(self.venue.expire_all(world.bars[-1].ts_ns), None)

    # (method, order in time, payload): bars at their close, after what was sent at that time.
    def _acts(self) -> list[tuple[str, tuple[int, int, int], Any]]:
        acts: list[tuple[str, tuple[int, int, int], Any]] = []
        for number, bar in enumerate(self.world.bars):
            acts.append(("_bar", (bar.ts_ns, 0, number), bar))
        for number, (wish, req) in enumerate(requests(self.world.wishes)):
            acts.append(("_place", (req.ts_ns, 1, number), req))
            name = req.client_order_id
            canceled = BrokerCancelReq(
                symbol="", client_order_id=name, ts_ns=START_NS + wish.cancel_at * THIRD_NS
            )
            acts.append(("_cancel", (canceled.ts_ns, 2, number), canceled))
            lots, limit, trigger = wish.amend
            if not req.group_id:
                changed = BrokerAmendReq(
                    symbol="",
                    client_order_id=name,
                    qty_lots=lots,
                    limit_price_ticks=limit,
                    trigger_price_ticks=trigger,
                    ts_ns=START_NS + wish.amend_at * THIRD_NS,
                )
                acts.append(("_amend", (changed.ts_ns, 3, number), changed))
        return acts

    def _bar(self, bar: Bar, at: object) -> None:
        if self.venue.n_working or self.venue.needs_bars:
            self._take(self.venue.on_bar(bar), bar)
        else:
            self.venue.observe(bar)

    def _place(self, req: BrokerOrderReq, at: object) -> None:
        if isinstance(self.venue.place(req), BrokerOrderAck):
            self.placed[req.client_order_id] = req
        self._take(self.venue.drain(), None)

    def _cancel(self, req: BrokerCancelReq, at: object) -> None:
        self.venue.cancel(req)
        self._take(self.venue.drain(), None)

    def _amend(self, req: BrokerAmendReq, at: object) -> None:
        self.venue.amend(req)
        self._take(self.venue.drain(), None)

    def _take(self, reports: Iterable[Report], bar: Bar | None) -> None:
        self.seen += [(report, bar) for report in reports]

    def fills(self) -> list[tuple[BrokerOrderReq, BrokerFill, Bar]]:
        """Every fill with its order and its bar."""
        return [
            (self.placed[report.client_order_id], report, bar)
            for report, bar in self.seen
            if isinstance(report, BrokerFill) and bar is not None
        ]
