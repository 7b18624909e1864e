"""Several strategies and symbols on one account: who holds what, and what a target becomes with leverage."""

from decimal import Decimal

import pytest

from njord.core.accounts import AccountKind, AccountTerms
from njord.core.contracts import (
    VENUE,
    Bar,
    FillEvent,
    FundingEvent,
    OrderEvent,
    OrderIntent,
    PositionSnapshot,
    ProposalRefused,
    RiskDecision,
    Target,
)
from njord.core.filters import FilterChange
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, RefusalReason, Side
from njord.portfolio.ledger import Ledger
from njord.strategies.base import Proposals, Strategy, StrategyParams
from njord.strategies.context import BarView, Context
from tests.property.strategies import (
    START_NS,
    BarHost,
    bar,
    fill_event,
    funding_event,
    instrument,
    order_event,
)
from tests.unit.portfolio.test_rebalance import PERP, SPOT, Desk

COIN = instrument("BTC/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))
OTHER = instrument("ETH/USDT:USDT", InstrumentKind.LINEAR, tick_size=Decimal(1), lot_size=Decimal("0.1"))


class Plan(Strategy):
    """Says one thing per bar."""

    def __init__(self, *says: Proposals) -> None:
        super().__init__(StrategyParams())
        self._says = iter(says)

    def on_bar(self, ctx: Context, bar: BarView) -> Proposals:
        return next(self._says, None)


def flat_bars(n: int, n_instruments: int = 1, ticks: int = 100) -> list[Bar]:
    return [
        bar(number, ticks, ticks, ticks, ticks, index)
        for number in range(n)
        for index in range(n_instruments)
    ]


def run(
    hosted: dict[str, list[tuple[int, Strategy]]],
    *traded: Instrument,
    n_bars: int = 6,
    account: AccountTerms | None = None,
) -> BarHost:
    host = BarHost(
        hosted, traded, fee_bps=Decimal(0), account=account or AccountTerms(), slippage_bps=Decimal(0)
    )
    for each in flat_bars(n_bars, len(traded)):
        host.feed(each)
    return host


def held(host: BarHost, owner: str, index: int = 0) -> Decimal:
    return host.system.rebalancer._held_qty((owner, index))


def test_opposite_targets_of_two_strategies_cancel_on_the_account_and_each_keeps_its_own() -> None:
    host = run(
        {
            "up": [(0, Plan(Target(qty=Decimal(3))))],
            "down": [(0, Plan(Target(qty=Decimal(-3)), None, Target(qty=Decimal(-1))))],
        },
        COIN,
    )
    assert [held(host, "up"), held(host, "down")] == [3, -1]
    assert host.system.ledger.account.position(0).qty == 2
    assert host.venue.held_qty(0) == 2


def test_the_exit_of_one_strategy_may_be_the_entry_of_the_account() -> None:
    host = run(
        {
            "up": [(0, Plan(Target(qty=Decimal(2)), None, None, Target(qty=Decimal(0))))],
            "down": [(0, Plan(Target(qty=Decimal(-2))))],
        },
        COIN,
    )
    assert [held(host, "up"), held(host, "down")] == [0, -2]
    assert host.system.ledger.account.position(0).qty == -2
    assert all(decision.allowed for decision in host.of(RiskDecision))
    assert [order.reduce_only for order in host.of(OrderEvent)] == [False, False, False]


def test_one_strategy_of_two_symbols_and_two_strategies_of_one_each_end_alike() -> None:
    def plans() -> list[tuple[int, Strategy]]:
        return [(0, Plan(Target(qty=Decimal(3)))), (1, Plan(None, Target(qty=Decimal(-2))))]

    one = run({"s": plans()}, COIN, OTHER)
    two = run({"a": [plans()[0]], "b": [plans()[1]]}, COIN, OTHER)
    for host in (one, two):
        assert [host.system.ledger.account.position(index).qty for index in (0, 1)] == [3, -2]
    assert one.system.ledger.account.cash == two.system.ledger.account.cash


@pytest.mark.parametrize(
    ("kind", "weight", "is_allowed"),
    [("perpetual", 20.0, True), ("margin", -20.0, True), ("perpetual", 21.2, False), ("spot", 1.1, False)],
)
def test_a_weight_up_to_the_leverage_is_sized_so_that_margin_and_costs_are_there(
    kind: AccountKind, weight: float, is_allowed: bool
) -> None:
    account = AccountTerms(kind=kind, leverage=Decimal(1 if kind == "spot" else 20))
    host = BarHost({"s": [(0, Plan(Target(weight=weight)))]}, (COIN,), account=account)
    for number in range(3):
        host.feed(bar(number, 10_000, 10_000, 10_000, 10_000))
    assert [decision.allowed for decision in host.of(RiskDecision)] == [is_allowed]
    assert len(host.of(FillEvent)) == is_allowed


def test_a_liquidation_closes_what_every_strategy_holds_of_the_instrument_and_nothing_else() -> None:
    host = run(
        {
            "up": [(0, Plan(Target(qty=Decimal(5)))), (1, Plan(Target(qty=Decimal(2))))],
            "down": [(0, Plan(Target(qty=Decimal(-2))))],
        },
        COIN,
        OTHER,
        account=AccountTerms(kind="perpetual", leverage=Decimal(5)),
    )
    host.step(
        fill_event(
            "LIQUIDATION-9", strategy_id=VENUE, intent_id="", side=Side.SELL, price_ticks=90, qty_lots=30
        )
    )
    assert [held(host, "up"), held(host, "down"), held(host, "up", 1)] == [0, 0, 2]
    assert host.system.ledger.account.position(0).qty == 0


def test_funding_reaches_every_mirror() -> None:
    host = run({"up": [(0, Plan(Target(qty=Decimal(5))))]}, COIN, account=AccountTerms(kind="perpetual"))
    host.step(funding_event("-1.5"))
    (snapshot,) = (each for each in host.of(PositionSnapshot) if each.funding)
    assert snapshot.funding == Decimal("-1.5")
    system = host.system
    for account in (system.ledger.account, system.gate.exposure.account, system.strategies.world.account):
        assert account.funding == Decimal("-1.5") and account.cash == Decimal("9998.5")


def test_the_ledger_books_funding_and_proves_its_books_after_it() -> None:
    books = Ledger(run({}, COIN, account=AccountTerms(kind="perpetual")).system.ledger.account, 1)
    (told,) = books.handlers()[FundingEvent](funding_event("2")) or ()
    assert isinstance(told, PositionSnapshot) and told.cash == 10_002


# --- what counts as on its way ---


def linked(name: str, **fields: object) -> OrderIntent:
    values: dict[str, object] = {
        "ts_ns": START_NS,
        "strategy_id": "s",
        "intent_id": name,
        "side": Side.BUY,
        "qty_lots": 1000,
    }
    return OrderIntent(**values | fields)  # type: ignore[arg-type]  # From a table.


@pytest.mark.parametrize("is_decided", [False, True])
def test_a_group_counts_once_and_an_exit_not_before_its_entry(is_decided: bool) -> None:
    desk = Desk().close(10_000)
    wishes = [
        linked("s-91", group_id="g"),
        linked("s-92", group_id="g", qty_lots=400),
        linked("s-93", side=Side.SELL, after_intent_id="s-91"),
    ]
    for wish in wishes:
        desk.tell(wish)
    if is_decided:
        for wish in wishes:
            after = "c-s-91" if wish.after_intent_id else ""
            desk.tell(
                order_event(
                    f"c-{wish.intent_id}",
                    intent_id=wish.intent_id,
                    side=wish.side,
                    qty_lots=wish.qty_lots,
                    group_id=wish.group_id,
                    after_client_order_id=after,
                )
            )
    assert desk.intent(qty=Decimal(3)).qty_lots == 2000


@pytest.mark.parametrize(("qty", "lots"), [("1.239", 1230), ("-1.239", 1230), ("0.009", 0)])
def test_a_target_is_rounded_to_the_step_that_the_venue_admits_at_the_time(qty: str, lots: int) -> None:
    changed = instrument(
        PERP.symbol,
        InstrumentKind.LINEAR,
        lot_size=SPOT.lot_size,
        filter_changes=(FilterChange(from_ns=START_NS, lot_multiple=10),),
    )
    desk = Desk(changed).close(10_000)
    if lots:
        assert desk.intent(qty=Decimal(qty)).qty_lots == lots
    else:
        (refused,) = desk.ask(qty=Decimal(qty))
        assert isinstance(refused, ProposalRefused) and refused.reason is RefusalReason.TARGET_BELOW_LOT
