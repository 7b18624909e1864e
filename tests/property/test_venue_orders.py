"""The simulated venue on random bars with everything at once: all order types, links, amendments, accounts, fees, funding.

The oracle knows the venue's reports only. It keeps the balances in fractions, and asks of every fill whether the bar,
the order, its links and the account allowed it.
"""

from collections import Counter
from fractions import Fraction
from math import ceil, floor

from hypothesis import given, settings

from njord.core.accounts import AccountTerms, make_account
from njord.core.contracts import (
    Bar,
    BrokerFill,
    BrokerFunding,
    BrokerLiquidation,
    BrokerOrderUpdate,
    FillEvent,
    FundingEvent,
)
from njord.core.orders import TERMINAL
from njord.core.types import InstrumentKind, OrderReason, OrderStatus, OrderType, Side, TimeInForce
from tests.property.strategies import fill_event
from tests.property.venue_worlds import CAPITAL, TRADED, WORLDS, Run, World


class Money:
    """The account in fractions, as the reports tell of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cash = Fraction(CAPITAL)
        self.held = [Fraction(0), Fraction(0)]
        self.cost = [Fraction(0), Fraction(0)]  # Of contracts, average cost.
        self.marks = [0, 0]
        self.volume = Fraction(0)

    def is_contract(self, index: int) -> bool:
        return self.world.terms.account == "perpetual" and TRADED[index].kind is not InstrumentKind.SPOT

    def trade(self, index: int, signed_lots: int, ticks: int, fee: Fraction, in_kind: bool) -> None:
        traded = TRADED[index]
        qty, price = signed_lots * Fraction(traded.lot_size), ticks * Fraction(traded.tick_size)
        self.volume += abs(qty) * price
        if self.is_contract(index):
            held = self.held[index]
            closed = min(abs(qty), abs(held)) if qty * held < 0 else Fraction(0)
            released = self.cost[index] * closed / abs(held) if closed else Fraction(0)
            realized = closed * price * (1 if held > 0 else -1) - released
            opened = abs(qty) - closed
            self.cost[index] += (1 if qty > 0 else -1) * opened * price - released
            self.cash += realized
        else:
            self.cash -= qty * price
        self.held[index] += qty
        if in_kind:
            self.held[index] -= fee
        else:
            self.cash -= fee

    def equity(self, index: int, ticks: int) -> tuple[Fraction, Fraction]:
        """Equity that backs positions, and their worth, with one price of `index`."""
        equity, gross = self.cash, Fraction(0)
        for other, traded in enumerate(TRADED):
            price = (ticks if other == index else self.marks[other]) * Fraction(traded.tick_size)
            if self.world.terms.account != "perpetual":
                equity += self.held[other] * price
                gross += abs(self.held[other]) * price
            elif self.is_contract(other):
                equity += self.held[other] * price - self.cost[other]
                gross += abs(self.held[other]) * price
        return equity, gross

    def excess(self, index: int, ticks: int) -> Fraction:
        """Equity beyond the maintenance margin."""
        equity, gross = self.equity(index, ticks)
        return equity - gross * Fraction(self.world.terms.maintenance_margin_bps) / 10_000


@settings(max_examples=settings.default.max_examples * 2 if settings.default else 60)
@given(WORLDS)
def test_the_venue_keeps_every_rule_at_once(world: World) -> None:
    run = Run(world)
    _check_money(run)
    _check_prices(run)
    _check_lives(run)
    _check_links(run)
    _check_volume(run)
    _check_books(run)


@settings(max_examples=8)
@given(WORLDS)
def test_the_same_run_gives_the_same_reports(world: World) -> None:
    assert Run(world).seen == Run(world).seen


# --- money: every balance to the last unit, nothing on credit, funding and liquidation as written ---


def _check_money(run: Run) -> None:
    money, world = Money(run.world), run.world
    for report, bar in run.seen:
        if bar is not None:
            _mark_before(money, world, bar)
        if isinstance(report, BrokerFill):
            assert bar is not None
            _check_fill(money, run, report)
        elif isinstance(report, BrokerFunding):
            _check_funding(money, report, bar)
        elif isinstance(report, BrokerLiquidation):
            assert bar is not None
            _check_liquidation(money, report, bar)
    # Shares of cost are rounded to 18 decimals at each partial close.
    assert abs(Fraction(run.venue.cash) - money.cash) < Fraction(1, 10**16)
    assert [Fraction(run.venue.held_qty(index)) for index in range(2)] == money.held


# Marks are the closes of earlier bars.
def _mark_before(money: Money, world: World, bar: Bar) -> None:
    for earlier in world.bars[: world.bars.index(bar)]:
        money.marks[earlier.instrument] = earlier.close


def _check_fill(money: Money, run: Run, fill: BrokerFill) -> None:
    req, fees, terms = run.placed[fill.client_order_id], run.world.fees, run.world.terms
    index, sign, traded = req.instrument, req.side.sign, TRADED[req.instrument]
    rate = fees.maker_bps if fill.is_maker else fees.taker_bps
    if fees.tiers and money.volume >= Fraction(fees.tiers[0].volume_notional):
        rate = fees.tiers[0].maker_bps if fill.is_maker else fees.tiers[0].taker_bps
    in_kind = fees.fee_asset == "received" and sign > 0 and traded.kind is InstrumentKind.SPOT
    qty = fill.qty_lots * Fraction(traded.lot_size)
    notional = qty * fill.price_ticks * Fraction(traded.tick_size)
    owed = (qty if in_kind else notional) * Fraction(rate) / 10_000
    quantum = 10**traded.money_scale
    assert Fraction(fill.fee) == Fraction(ceil(owed * quantum), quantum)
    assert fill.fee_asset == (traded.base if in_kind else traded.quote)
    before = money.held[index]
    money.trade(index, sign * fill.qty_lots, fill.price_ticks, Fraction(fill.fee), in_kind)
    after = money.held[index]
    shrinks = abs(after) <= abs(before) and after * before >= 0
    assert shrinks or not req.reduce_only
    if not shrinks:
        equity, gross = money.equity(index, fill.price_ticks)
        assert Fraction(terms.leverage) * equity >= gross
        if traded.kind is InstrumentKind.SPOT and terms.account != "margin":
            assert after >= 0


def _check_funding(money: Money, paid: BrokerFunding, bar: Bar | None) -> None:
    assert bar is not None and paid.instrument == bar.instrument and money.is_contract(paid.instrument)
    index, rates = paid.instrument, dict(money.world.terms.funding.rates)
    assert paid.rate == rates[paid.ts_venue_ns] and paid.ts_venue_ns < bar.ts_ns
    assert money.held[index] != 0
    assert paid.mark_ticks == (money.marks[index] if paid.ts_venue_ns <= bar.ts_open_ns else bar.open)
    traded = TRADED[index]
    owed = -Fraction(paid.rate) * money.held[index] * paid.mark_ticks * Fraction(traded.tick_size)
    assert Fraction(paid.amount) == Fraction(floor(owed * 10**traded.money_scale), 10**traded.money_scale)
    money.cash += Fraction(paid.amount)


def _check_liquidation(money: Money, closed: BrokerLiquidation, bar: Bar) -> None:
    index, sign = closed.instrument, closed.side.sign
    assert money.is_contract(index) and money.held[index] * sign < 0
    assert bar.low <= closed.price_ticks <= bar.high
    assert money.excess(index, closed.price_ticks) <= 0
    if closed.ts_venue_ns == bar.ts_ns:  # Inside the bar: not a tick too early.
        assert money.excess(index, closed.price_ticks - sign) > 0 or closed.price_ticks in _fill_prices(money)
    notional = (
        closed.qty_lots
        * Fraction(TRADED[index].lot_size)
        * closed.price_ticks
        * Fraction(TRADED[index].tick_size)
    )
    owed = notional * Fraction(money.world.terms.liquidation_fee_bps) / 10_000
    quantum = 10 ** TRADED[index].money_scale
    assert Fraction(closed.fee) == Fraction(ceil(owed * quantum), quantum)
    money.trade(index, sign * closed.qty_lots, closed.price_ticks, Fraction(closed.fee), False)
    assert money.held[index] == 0


def _fill_prices(money: Money) -> range:
    return range(80, 125)  # A position ruined by its own opening goes at that price.


# --- prices: nothing better than the bar allows, nothing worse than the limit, nothing before its trigger ---


def _check_prices(run: Run) -> None:
    limits = {name: req.limit_price_ticks for name, req in run.placed.items()}
    woken = {name for name, req in run.placed.items() if not req.type.is_conditional}
    for report, bar in run.seen:
        if isinstance(report, BrokerOrderUpdate):
            limits[report.client_order_id] = report.limit_price_ticks
            if report.reason is OrderReason.TRIGGERED:
                assert bar is not None
                _check_trigger(run, report, bar)
                woken.add(report.client_order_id)
        elif isinstance(report, BrokerFill):
            assert bar is not None
            req, limit = run.placed[report.client_order_id], limits[report.client_order_id]
            assert report.client_order_id in woken
            assert req.ts_ns <= bar.ts_open_ns
            assert report.ts_venue_ns in (bar.ts_open_ns, bar.ts_ns)
            sign, best = req.side.sign, bar.low if req.side is Side.BUY else bar.high
            assert sign * (report.price_ticks - best) >= 0
            if limit:
                assert sign * (limit - report.price_ticks) >= 0
            if report.is_maker:
                assert report.price_ticks == (bar.open if report.ts_venue_ns == bar.ts_open_ns else limit)
            if report.ts_venue_ns == bar.ts_open_ns:
                assert sign * (report.price_ticks - bar.open) >= 0
            if req.post_only:
                assert report.is_maker
            if req.tif is TimeInForce.GTD:
                is_at_open = report.ts_venue_ns == bar.ts_open_ns
                assert bar.ts_open_ns < req.expire_ns if is_at_open else bar.ts_ns <= req.expire_ns


def _check_trigger(run: Run, told: BrokerOrderUpdate, bar: Bar) -> None:
    req, trigger = run.placed[told.client_order_id], told.trigger_price_ticks
    is_profit = req.type in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
    is_above = (req.side is Side.BUY) is not is_profit
    assert bar.high >= trigger if is_above else bar.low <= trigger
    if told.ts_venue_ns == bar.ts_open_ns:
        assert bar.open >= trigger if is_above else bar.open <= trigger
    if req.type is OrderType.TRAILING_STOP and told.client_order_id not in _amended(run):
        known = [
            each for each in run.world.bars[: run.world.bars.index(bar)] if each.instrument == bar.instrument
        ]
        prices = [bar.open, bar.low, bar.high, *(price for each in known for price in (each.high, each.low))]
        best = min(prices) if is_above else max(prices)
        assert req.side.sign * (trigger - best) >= req.trail_ticks or trigger == 1


def _amended(run: Run) -> set[str]:
    return {
        report.client_order_id
        for report, _ in run.seen
        if isinstance(report, BrokerOrderUpdate) and report.reason is OrderReason.AMENDED
    }


# --- lives: every order ends once, with what it has filled ---


def _check_lives(run: Run) -> None:
    filled: Counter[str] = Counter()
    ended: set[str] = set()
    qty = {name: req.qty_lots for name, req in run.placed.items()}
    for report, _ in run.seen:
        if isinstance(report, BrokerFill):
            filled[report.client_order_id] += report.qty_lots
            assert report.client_order_id not in ended
        elif isinstance(report, BrokerOrderUpdate):
            name = report.client_order_id
            assert name not in ended
            assert report.filled_lots == filled[name] <= report.qty_lots
            if report.reason is OrderReason.AMENDED:
                qty[name] = report.qty_lots
            assert report.qty_lots <= qty[name]
            if report.status in TERMINAL:
                ended.add(name)
                is_filled = report.status is OrderStatus.FILLED
                assert is_filled is (report.filled_lots == report.qty_lots)
                assert is_filled is (report.reason is OrderReason.NONE)
            tif = run.placed[name].tif
            if tif is TimeInForce.FOK and not run.placed[name].type.is_conditional:
                assert report.filled_lots in (0, report.qty_lots)
    assert ended == set(run.placed)
    assert run.venue.n_working == 0 and run.venue.fetch_open_orders(None) == []


# --- links: a group fills one order's lots in all, exits never more than their entry has ---


def _check_links(run: Run) -> None:
    in_group: Counter[str] = Counter()
    by_order: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    for report, _ in run.seen:
        if not isinstance(report, BrokerFill):
            continue
        req = run.placed[report.client_order_id]
        by_order[req.client_order_id] += report.qty_lots
        if req.group_id:
            in_group[req.group_id] += report.qty_lots
            members = [each.qty_lots for each in run.placed.values() if each.group_id == req.group_id]
            assert in_group[req.group_id] <= max(members)
        if req.after_client_order_id:
            assert req.group_id
            closed[req.group_id] += report.qty_lots
            assert closed[req.group_id] <= by_order[req.after_client_order_id]


def _check_volume(run: Run) -> None:
    share = Fraction(run.world.terms.max_volume_share)
    taken: Counter[int] = Counter()
    for _, fill, bar in run.fills():
        if share:
            at = run.world.bars.index(bar)
            taken[at] += fill.qty_lots
            assert taken[at] <= floor(bar.volume_lots * share)


# --- our books: fed the same fills they hold the same balances, to the last digit ---


def _check_books(run: Run) -> None:
    terms = run.world.terms
    account = make_account(AccountTerms(kind=terms.account, leverage=terms.leverage), TRADED, "USDT", CAPITAL)
    for report, _ in run.seen:
        if isinstance(report, BrokerFill | BrokerLiquidation):
            account.apply_fill(_fill_event(run, report), (1, 1))
        elif isinstance(report, BrokerFunding):
            account.apply_funding(
                FundingEvent(
                    ts_ns=0,
                    account_id="main",
                    **{name: getattr(report, name) for name in report.__struct_fields__},
                ),
                (1, 1),
            )
    account.check()
    assert account.cash == run.venue.cash
    assert [account.position(index).qty for index in range(2)] == [
        run.venue.held_qty(index) for index in range(2)
    ]


def _fill_event(run: Run, report: BrokerFill | BrokerLiquidation) -> FillEvent:
    if isinstance(report, BrokerLiquidation):
        side, index, name, is_maker = report.side, report.instrument, "LIQUIDATION", False
    else:
        req = run.placed[report.client_order_id]
        side, index, name, is_maker = req.side, req.instrument, req.client_order_id, report.is_maker
    return fill_event(
        name,
        instrument=index,
        side=side,
        price_ticks=report.price_ticks,
        qty_lots=report.qty_lots,
        fee=report.fee,
        fee_asset=report.fee_asset,
        is_maker=is_maker,
    )
