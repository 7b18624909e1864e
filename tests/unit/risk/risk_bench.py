"""A small gate to ask: one spot and one linear instrument, capital of 1,000, a switch that is on."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from njord.core.accounts import AccountTerms, make_account
from njord.core.contracts import (
    Bar,
    FillEvent,
    KillSwitchState,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    RiskDecision,
)
from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind, OrderStatus, OrderType, Side, TradingState
from njord.risk.exposure import Exposure
from njord.risk.gate import RiskGate
from njord.risk.profile import build_rules

S = 10**9
MINUTE = 60 * S
DAY = 86_400 * S
MIDNIGHT = 1_700_006_400 * S
NOON = MIDNIGHT + 12 * 3_600 * S
FOREVER = 2**63 - 1

SPOT = Instrument(
    symbol="AAA/USD",
    venue="sim",
    base="AAA",
    quote="USD",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.1"),
)
PERP = Instrument(
    symbol="BBB/USD:USD",
    venue="sim",
    base="BBB",
    quote="USD",
    tick_size=Decimal("0.5"),
    lot_size=Decimal(1),
    kind=InstrumentKind.LINEAR,
)
SPOT_ACCOUNT = AccountTerms()


class Bench:
    """A gate fed by hand; its account is fed through `fill`, as the ledger would."""

    def __init__(
        self,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        spot: Instrument = SPOT,
        capital: int = 1_000,
        cost_bps: str = "0",
        is_on: bool = True,
        now_ns: int = NOON,
        terms: AccountTerms = SPOT_ACCOUNT,
    ) -> None:
        instruments = (spot, PERP)
        self.now_ns = now_ns
        self.ledger, mirror = (
            make_account(terms, instruments, "USD", Decimal(capital)) for _ in ("ledger", "gate")
        )
        self.exposure = Exposure(instruments, mirror, Decimal(cost_bps))
        self.gate = RiskGate(build_rules("bench", rules or {}), self.exposure, "main", "run")
        self.n_intents = 0
        self.n_trades = 0
        if is_on:
            self.read(TradingState.ACTIVE)

    def read(self, state: TradingState, source: str = "file", valid_until_ns: int = FOREVER) -> None:
        """Take in a reading of the kill switch."""
        self.gate.exposure.observe_kill_switch(
            KillSwitchState(ts_ns=self.now_ns, state=state, source=source, valid_until_ns=valid_until_ns)
        )

    def bar(self, ticks: int, index: int = 0) -> None:
        """See a one-minute bar close now."""
        self.exposure.observe_bar(
            Bar(
                ts_ns=self.now_ns,
                instrument=index,
                ts_open_ns=self.now_ns - MINUTE,
                open=ticks,
                high=ticks,
                low=ticks,
                close=ticks,
            )
        )

    def intent(self, **fields: Any) -> OrderIntent:
        """Return a valid intent to buy one lot, with `fields` changed."""
        self.n_intents += 1
        values: dict[str, Any] = {
            "ts_ns": self.now_ns,
            "instrument": 0,
            "account_id": "main",
            "strategy_id": "a",
            "intent_id": f"a-{self.n_intents}",
            "side": Side.BUY,
            "qty_lots": 1,
        }
        if "limit_price_ticks" in fields:
            values["type"] = OrderType.LIMIT
        return OrderIntent(**values | fields)

    def ask(self, **fields: Any) -> RiskDecision:
        """Ask the gate about an intent; return its decision."""
        return self.send(**fields)[0]

    def send(self, **fields: Any) -> tuple[RiskDecision, OrderEvent | None]:
        """Ask the gate about an intent; return its decision and the order, if there is one."""
        return self.decide(self.intent(**fields))

    def decide(self, intent: OrderIntent) -> tuple[RiskDecision, OrderEvent | None]:
        """Hand an intent to the gate as it is."""
        decision, *orders = self.gate.handlers()[OrderIntent](intent) or ()
        assert isinstance(decision, RiskDecision)
        order = orders[0] if orders else None
        assert order is None or isinstance(order, OrderEvent)
        return decision, order

    def order(self, **fields: Any) -> OrderEvent:
        """Have an order approved."""
        decision, order = self.send(**fields)
        assert order is not None, decision
        return order

    def fill(self, order: OrderEvent, ticks: int, lots: int = 0, fee: str = "0", asset: str = "USD") -> None:
        """Fill an order, wholly unless told otherwise."""
        self.n_trades += 1
        fill = FillEvent(
            ts_ns=self.now_ns,
            instrument=order.instrument,
            account_id="main",
            strategy_id=order.strategy_id,
            intent_id=order.intent_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=ticks,
            qty_lots=lots or order.qty_lots,
            fee=Decimal(fee),
            fee_asset=asset,
            is_maker=False,
            venue_trade_id=str(self.n_trades),
            ts_venue_ns=self.now_ns,
        )
        self.exposure.working.fill(fill)
        for snapshot in self.ledger.apply_fill(fill, self.exposure.mark_ticks):
            self.exposure.observe_position(snapshot)

    def end(self, order: OrderEvent, status: OrderStatus = OrderStatus.FILLED) -> None:
        """Report an order's status."""
        self.exposure.working.update(
            OrderUpdate(
                ts_ns=self.now_ns,
                instrument=order.instrument,
                account_id="main",
                strategy_id=order.strategy_id,
                intent_id=order.intent_id,
                client_order_id=order.client_order_id,
                status=status,
                ts_venue_ns=self.now_ns,
            )
        )

    def trade(self, ticks: int, fee: str = "0", **fields: Any) -> None:
        """Have an order approved, filled and ended at once."""
        order = self.order(**fields)
        self.fill(order, ticks, fee=fee)
        self.end(order)


def spot(**fields: Any) -> Instrument:
    """Return the spot instrument with `fields` changed."""
    return msgspec.structs.replace(SPOT, **fields)


def priced(rules: Mapping[str, Mapping[str, Any]] | None = None, ticks: int = 20, **given: Any) -> Bench:
    """Return a bench that knows a price for both instruments: 10, unless told otherwise."""
    bench = Bench(rules, **given)
    bench.bar(ticks)
    bench.bar(ticks, index=1)
    return bench


def evidence(bench: Bench, **fields: Any) -> dict[str, str]:
    """Ask about an intent that must be refused; return the numbers it was refused with."""
    decision = bench.ask(**fields)
    assert not decision.allowed
    return dict(decision.evidence)
