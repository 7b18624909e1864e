"""Rebalance: target minus what is held and on its way = the order to send.

Sizing leaves room for what the order will cost: quantity = weight x equity / (price x (1 + leverage x (fee + slippage)
+ 1 %)), rounded down to the lot; a weight may go up to the leverage. Positions are kept per strategy; working orders,
and intents that the gate has yet to decide on, count as if they had filled, so that a target repeated before its order
has filled asks for nothing more; an order of a target that works against a new one is canceled first. Of a group the
largest member counts, of an exit what its entry has filled.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from njord.core.component import Handler
from njord.core.contracts import (
    AmendEvent,
    Bar,
    CancelIntent,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    ProposalRefused,
    RiskDecision,
    StrategySuspended,
    Target,
    TradeEvent,
)
from njord.core.holdings import Holdings, Owner
from njord.core.ids import Counter
from njord.core.instrument import Instrument, exact
from njord.core.orders import TERMINAL
from njord.core.types import BUY, SELL, RefusalReason
from njord.core.units import BPS, EXACT, ZERO, ratio

SIZING_BUFFER = Decimal("0.01")
_ONE = Decimal(1)
_exact_weight = lru_cache(maxsize=64, typed=True)(exact)  # Most strategies say two or three different ones.


class Sizing(msgspec.Struct, frozen=True):
    """How a target is sized: what is wanted, minus what is held and on its way, is what is asked for.

    Attributes:
        wanted: Signed lots, or why there is no answer.
        held_lots: Of the strategy, signed.
        on_its_way_lots: What its open orders and undecided intents would add, signed.
        equity: Of the account, in the report asset; None while a price is missing.
        price: The market's, in quote; None while unknown.
        price_factor: What the price is multiplied by, so that there is room for costs.
        is_fixed: A fixed quantity replaces the weight.
    """

    wanted: int | RefusalReason
    held_lots: int
    on_its_way_lots: int
    equity: Decimal | None
    price: Decimal | None
    price_factor: Decimal
    is_fixed: bool


class Rebalancer:
    """Turns targets into intents.

    Args:
        instruments: All instruments of the run.
        holdings: What the strategies have, with a mirror of the ledger's account.
        account_id: Stamped on every intent.
        counters: The id counter of each strategy.
        cost_bps: Fee plus slippage that sizing leaves room for.
        fixed_qty: Replaces every weight by its sign times this quantity (in base), if given.
        last_ticks: The last price of each instrument, if another stage keeps them; else they are followed here.
        follows_holdings: Whether `holdings` are brought up to date here, and not by a stage that is asked before.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        holdings: Holdings,
        account_id: str,
        counters: Mapping[str, Counter],
        cost_bps: Decimal,
        fixed_qty: Decimal | None = None,
        last_ticks: list[int] | None = None,
        *,
        follows_holdings: bool = True,
    ) -> None:
        account = holdings.account
        self._instruments = instruments
        self._account = account
        self._holdings = holdings
        self._follows_holdings = follows_holdings
        self._account_id = account_id
        self._counters = counters
        # Margin is a share of a position's worth, but its costs are paid on all of it.
        self._price_factors = [
            EXACT.add(
                EXACT.add(_ONE, SIZING_BUFFER),
                EXACT.multiply(EXACT.multiply(cost_bps, BPS), account.leverage(index)),
            )
            for index in range(len(instruments))
        ]
        self._fixed_lots = (
            None if fixed_qty is None else [_signed_lots(each, fixed_qty) for each in instruments]
        )
        self._mark_ticks = [0] * len(instruments) if last_ticks is None else last_ticks
        self._follows_prices = last_ticks is None
        self._lots = holdings.lots
        self._paid = holdings.fees_in_kind
        self._undecided: dict[
            str, tuple[Owner, int, str]
        ] = {}  # By intent id: whose, its signed lots, its group.
        self.working = holdings.working
        self._own: set[str] = (
            set()
        )  # Intents of ours that have not ended; a strategy's own orders are its business.
        self._canceling: dict[str, Owner] = {}  # By client order id.
        self._standing: dict[Owner, tuple[int, Target]] = {}  # Lots wanted, once those cancels are through.

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        table: dict[type[Message], Handler] = {
            Target: self._on_target,
            OrderIntent: self._on_intent,
            RiskDecision: self._on_decision,
            OrderEvent: self._on_order,
            OrderUpdate: self._on_update,
            StrategySuspended: self._on_suspended,
        }
        if self._follows_holdings:
            table |= {
                AmendEvent: self.working.amend,
                FillEvent: self._holdings.fill,
                PositionSnapshot: self._account.adopt,
            }
        if self._follows_prices:
            table |= {Bar: self._on_bar, TradeEvent: self._on_trade}
        return table

    def _on_bar(self, bar: Bar) -> None:
        self._mark_ticks[bar.instrument] = bar.close

    def _on_trade(self, trade: TradeEvent) -> None:
        self._mark_ticks[trade.instrument] = trade.price_ticks

    def _on_intent(self, intent: OrderIntent) -> None:
        # What it sent itself is counted already; an exit has nothing to close yet.
        if intent.intent_id not in self._own and not intent.after_intent_id:
            owner = (intent.strategy_id, intent.instrument)
            lots = intent.qty_lots if intent.side is BUY else -intent.qty_lots
            self._undecided[intent.intent_id] = (owner, lots, intent.group_id)

    def _on_decision(self, decision: RiskDecision) -> None:
        if not decision.allowed:
            self._undecided.pop(decision.intent_id, None)
            self._own.discard(decision.intent_id)

    def _on_order(self, order: OrderEvent) -> None:
        self._undecided.pop(order.intent_id, None)
        if self._follows_holdings:
            self.working.approve(order)

    def _on_target(self, target: Target) -> Sequence[Message] | None:
        instrument = self._instruments[target.instrument]
        owner = (target.strategy_id, target.instrument)
        held = self._held_lots(owner)
        expected = held + self._on_its_way(owner)
        wanted = self._wanted_lots(target, instrument)
        if not isinstance(wanted, int):
            return [self._refused(target, wanted)]
        missing = wanted - expected
        if self.working.by_id and (cancels := self._cancels(target, owner, missing)) is not None:
            self._standing[owner] = (wanted, target)
            return cancels
        return [self._intent(target, owner, held, expected, wanted)] if missing else None

    def sizing(self, target: Target) -> Sizing:
        """Return how `target` would be sized now; asked just before it is, so it is sized. Nothing follows from it."""
        index = target.instrument
        instrument, owner = self._instruments[index], (target.strategy_id, index)
        ticks = self._mark_ticks[index]
        return Sizing(
            wanted=self._wanted_lots(target, instrument),
            held_lots=self._held_lots(owner),
            on_its_way_lots=self._on_its_way(owner),
            equity=self._account.equity(self._mark_ticks),
            price=instrument.price(ticks) if ticks else None,
            price_factor=self._price_factors[index],
            is_fixed=self._fixed_lots is not None and target.qty is None,
        )

    # Orders of ours that still work the other way must end before the rest is traded: selling what may yet be bought is a
    # short, and what has not been bought can not be sold. None if there are none.
    def _cancels(self, target: Target, owner: Owner, missing: int) -> list[Message] | None:
        against = [
            order.client_order_id
            for order in self.working
            if (order.strategy_id, order.instrument) == owner
            and order.intent_id in self._own
            and order.side.sign * missing < 0
            and order.client_order_id not in self._canceling
        ]
        if not against and owner not in self._canceling.values():
            return None
        cancels: list[Message] = []
        for client_order_id in against:
            self._canceling[client_order_id] = owner
            cancels.append(
                CancelIntent(
                    ts_ns=target.ts_ns,
                    instrument=target.instrument,
                    account_id=self._account_id,
                    strategy_id=target.strategy_id,
                    intent_id=self._counters[target.strategy_id].next(),
                    client_order_id=client_order_id,
                    reason=target.reason,
                )
            )
        return cancels

    def _on_update(self, update: OrderUpdate) -> Sequence[Message] | None:
        if self._follows_holdings:
            self.working.update(update)
        if update.status not in TERMINAL:
            return None
        self._own.discard(update.intent_id)
        owner = self._canceling.pop(update.client_order_id, None)
        if owner is None or owner in self._canceling.values() or owner not in self._standing:
            return None
        wanted, target = self._standing.pop(owner)
        held = self._held_lots(owner)
        expected = held + self._on_its_way(owner)
        if wanted == expected:
            return None
        return [self._intent(replace(target, ts_ns=update.ts_ns), owner, held, expected, wanted)]

    def _on_suspended(self, suspended: StrategySuspended) -> None:
        for owner in [each for each in self._standing if each[0] == suspended.strategy_id]:
            del self._standing[owner]

    def _intent(self, target: Target, owner: Owner, held: int, expected: int, wanted: int) -> OrderIntent:
        missing = wanted - expected
        is_exit = expected == held and abs(wanted) < abs(held) and wanted * held >= 0
        intent = OrderIntent(
            ts_ns=target.ts_ns,
            instrument=target.instrument,
            account_id=self._account_id,
            strategy_id=target.strategy_id,
            intent_id=self._counters[target.strategy_id].next(),
            side=BUY if missing > 0 else SELL,
            qty_lots=abs(missing),
            reduce_only=is_exit and self._reduces_account(target.instrument, missing),
            reason=target.reason,
            features=target.features,
        )
        self._undecided[intent.intent_id] = (owner, missing, "")
        self._own.add(intent.intent_id)
        return intent

    # Whole lots: what is below one is dust that can not be sold.
    def _held_lots(self, owner: Owner) -> int:
        if owner not in self._paid:
            return self._lots.get(owner, 0)
        return self._instruments[owner[1]].lots(self._held_qty(owner))

    def _held_qty(self, owner: Owner) -> Decimal:
        return self._holdings.qty(owner, self._instruments[owner[1]])

    # Signed lots that open orders and undecided intents would add.
    def _on_its_way(self, owner: Owner) -> int:
        if not self._undecided and not self.working.by_id:
            return 0
        undecided, largest = 0, dict[str, int]()
        for whose, lots, group_id in self._undecided.values():
            if whose != owner:
                continue
            if group_id:
                largest[group_id] = max(largest.get(group_id, 0), lots, key=abs)
            else:
                undecided += lots
        return self.working.signed_lots(owner[1], owner[0]) + undecided + sum(largest.values())

    # A strategy's exit can be the account's entry: another may hold the other side, or be selling the same already.
    def _reduces_account(self, index: int, missing: int) -> bool:
        held = self._account.positions[index].qty
        side = BUY if missing > 0 else SELL
        if not held or (held > ZERO) is (side is BUY):
            return False
        lots = self.working.side_lots(index, side) + abs(missing)
        return self._instruments[index].qty(lots) <= held.copy_abs()

    # Signed lots, or why there is no answer.
    def _wanted_lots(self, target: Target, instrument: Instrument) -> int | RefusalReason:
        if (target.weight is None) == (target.qty is None):
            return RefusalReason.INTENT_MALFORMED
        if target.qty is not None:
            return self._admitted(instrument, target.qty, target.ts_ns)
        try:
            weight = _exact_weight(target.weight if target.weight is not None else 0)
        except ValueError:
            return RefusalReason.INTENT_MALFORMED
        if not weight:
            return 0
        if self._fixed_lots is not None:
            lots = self._fixed_lots[target.instrument]
            return lots if weight > ZERO or isinstance(lots, RefusalReason) else -lots
        ticks = self._mark_ticks[target.instrument]
        equity = self._account.equity(self._mark_ticks)
        if not ticks or equity is None:
            return RefusalReason.PRICE_UNKNOWN
        if equity <= ZERO:
            return RefusalReason.CASH_INSUFFICIENT  # A share of nothing; of debt it would be the other side.
        price = EXACT.multiply(instrument.price(ticks), self._price_factors[target.instrument])
        return self._admitted(instrument, ratio(EXACT.multiply(weight, equity), price), target.ts_ns)

    # A wanted quantity in signed lots, toward zero to the step that the venue admits at the time.
    def _admitted(self, instrument: Instrument, qty: Decimal, ts_ns: int) -> int | RefusalReason:
        lots = _signed_lots(instrument, qty)
        if not instrument.filter_changes or isinstance(lots, RefusalReason) or not lots:
            return lots
        whole = (
            abs(lots) // instrument.filters_at(ts_ns).lot_multiple * instrument.filters_at(ts_ns).lot_multiple
        )
        return (whole if lots > 0 else -whole) or RefusalReason.TARGET_BELOW_LOT

    def _refused(self, target: Target, reason: RefusalReason) -> ProposalRefused:
        wish = f"weight {target.weight}" if target.qty is None else f"qty {target.qty}"
        return ProposalRefused(
            ts_ns=target.ts_ns,
            instrument=target.instrument,
            strategy_id=target.strategy_id,
            proposal="Target",
            reason=reason,
            detail=wish,
        )


def _signed_lots(instrument: Instrument, qty: Decimal) -> int | RefusalReason:
    try:
        lots = instrument.lots(qty)
    except ValueError:
        return RefusalReason.INTENT_MALFORMED
    return lots if lots or not qty else RefusalReason.TARGET_BELOW_LOT
