"""Rebalance: target minus what is held and on its way = the order to send.

Sizing leaves room for what the order will cost: quantity = weight x equity / (price x (1 + fee + slippage + 1 %)),
rounded down to the lot. Positions are kept per strategy; working orders count as if they had filled, so that a
target repeated before its order has filled asks for nothing more.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from njord.core.account import Account
from njord.core.component import Handler
from njord.core.contracts import (
    Bar,
    FillEvent,
    Message,
    OrderEvent,
    OrderIntent,
    OrderUpdate,
    PositionSnapshot,
    ProposalRefused,
    Target,
    TradeEvent,
)
from njord.core.ids import Counter
from njord.core.instrument import Instrument, exact
from njord.core.orders import WorkingOrders
from njord.core.types import RefusalReason, Side
from njord.core.units import BPS, EXACT, ratio

SIZING_BUFFER = Decimal("0.01")
_ONE = Decimal(1)


class Rebalancer:
    """Turns targets into intents.

    Args:
        instruments: All instruments of the run.
        account: A mirror of the ledger's account, fed by its snapshots.
        account_id: Stamped on every intent.
        counters: The id counter of each strategy.
        cost_bps: Fee plus slippage that sizing leaves room for.
        fixed_qty: Replaces every weight by its sign times this quantity (in base), if given.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        account: Account,
        account_id: str,
        counters: Mapping[str, Counter],
        cost_bps: Decimal,
        fixed_qty: Decimal | None = None,
    ) -> None:
        self._instruments = instruments
        self._account = account
        self._account_id = account_id
        self._counters = counters
        self._price_factor = EXACT.add(EXACT.add(_ONE, SIZING_BUFFER), EXACT.multiply(cost_bps, BPS))
        self._fixed_qty = fixed_qty
        self._mark_ticks = [0] * len(instruments)
        self._held_lots: dict[tuple[str, int], int] = {}
        self.working = WorkingOrders()

    def handlers(self) -> dict[type[Message], Handler]:
        """Return what this stage consumes."""
        return {
            Bar: self._on_bar,
            TradeEvent: self._on_trade,
            Target: self._on_target,
            OrderEvent: self._on_order,
            OrderUpdate: self._on_update,
            FillEvent: self._on_fill,
            PositionSnapshot: self._on_position,
        }

    def _on_bar(self, bar: Bar) -> None:
        self._mark_ticks[bar.instrument] = bar.close

    def _on_trade(self, trade: TradeEvent) -> None:
        self._mark_ticks[trade.instrument] = trade.price_ticks

    def _on_order(self, order: OrderEvent) -> None:
        self.working.approve(order)

    def _on_update(self, update: OrderUpdate) -> None:
        self.working.update(update)

    def _on_position(self, snapshot: PositionSnapshot) -> None:
        self._account.adopt(snapshot)

    def _on_fill(self, fill: FillEvent) -> None:
        self.working.fill(fill)
        key = (fill.strategy_id, fill.instrument)
        instrument = self._instruments[fill.instrument]
        signed = fill.side.sign * fill.qty_lots
        if fill.fee_asset == instrument.base:
            # A fee in kind leaves less than was bought; what is below a lot is dust that can not be sold.
            signed -= -instrument.lots(-fill.fee) if fill.fee < 0 else _lots_up(instrument, fill.fee)
        self._held_lots[key] = self._held_lots.get(key, 0) + signed

    def _on_target(self, target: Target) -> Sequence[Message] | None:
        instrument = self._instruments[target.instrument]
        key = (target.strategy_id, target.instrument)
        held = self._held_lots.get(key, 0)
        expected = held + self.working.signed_lots(target.instrument, target.strategy_id)
        wanted = self._wanted_lots(target, instrument)
        if isinstance(wanted, RefusalReason):
            return [self._refused(target, wanted)]
        missing = wanted - expected
        if not missing:
            return None
        return [
            OrderIntent(
                ts_ns=target.ts_ns,
                instrument=target.instrument,
                account_id=self._account_id,
                strategy_id=target.strategy_id,
                intent_id=self._counters[target.strategy_id].next(),
                side=Side.BUY if missing > 0 else Side.SELL,
                qty_lots=abs(missing),
                reduce_only=expected == held and abs(wanted) < abs(held) and wanted * held >= 0,
                reason=target.reason,
                features=target.features,
            )
        ]

    # Signed lots, or why there is no answer.
    def _wanted_lots(self, target: Target, instrument: Instrument) -> int | RefusalReason:
        if (target.weight is None) == (target.qty is None):
            return RefusalReason.INTENT_MALFORMED
        if target.qty is not None:
            return _signed_lots(instrument, target.qty)
        try:
            weight = exact(target.weight if target.weight is not None else 0)
        except ValueError:
            return RefusalReason.INTENT_MALFORMED
        if not weight:
            return 0
        if self._fixed_qty is not None:
            return _signed_lots(instrument, self._fixed_qty.copy_sign(weight))
        ticks = self._mark_ticks[target.instrument]
        equity = self._account.equity(self._mark_ticks)
        if not ticks or equity is None:
            return RefusalReason.PRICE_UNKNOWN
        price = EXACT.multiply(instrument.price(ticks), self._price_factor)
        return _signed_lots(instrument, ratio(EXACT.multiply(weight, equity), price))

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
    if not qty.is_finite():
        return RefusalReason.INTENT_MALFORMED
    lots = instrument.lots(qty)
    return lots if lots or not qty else RefusalReason.TARGET_BELOW_LOT


def _lots_up(instrument: Instrument, qty: Decimal) -> int:
    whole = instrument.lots(qty)
    return whole if instrument.qty(whole) == qty else whole + 1
