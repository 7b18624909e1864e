"""What the fused loops decided, booked where an ordered run would have: recorder and ledger. Rows in, messages booked.

An order becomes the `OrderEvent` that the gate would have made, a fill the `FillEvent` that the gateway would have: what
reads the outcome can not tell the engines apart.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from njord.backtest.recorder import Recorder
from njord.backtest.simulation import Prepared
from njord.core.contracts import NO_PRICE, FillEvent, OrderEvent, OrderIntent
from njord.core.errors import InvariantError
from njord.core.ids import ClientOrderIds
from njord.core.types import (
    BUY,
    LIMIT,
    MARKET,
    SELL,
    OrderReason,
    OrderStatus,
    RefusalReason,
    Side,
    TimeInForce,
)
from njord.core.units import EXACT, ratio
from njord.kernels import fused_tables as table
from njord.kernels.fused_tables import Terms
from njord.kernels.order_slots import IOC, POST_ONLY, REDUCE_ONLY
from njord.risk.gate import approved
from njord.strategies.features import BarColumns
from njord.system import System

IntArray = NDArray[np.int64]

_REFUSALS = {
    table.BELOW_LOT: RefusalReason.TARGET_BELOW_LOT,
    table.CASH_SHORT: RefusalReason.CASH_INSUFFICIENT,
    table.MALFORMED: RefusalReason.INTENT_MALFORMED,
    table.BELOW_MIN: RefusalReason.QTY_BELOW_MIN,
    table.ABOVE_MAX: RefusalReason.QTY_ABOVE_MAX,
    table.NOTIONAL_BELOW_MIN: RefusalReason.NOTIONAL_BELOW_MIN,
    table.COLLAR: RefusalReason.PRICE_OUTSIDE_COLLAR,
    table.GROWS: RefusalReason.REDUCE_ONLY_INCREASES,
    table.OPEN_ORDERS: RefusalReason.OPEN_ORDERS_EXCEED_CAP,
    table.RATE: RefusalReason.ORDER_RATE_EXCEEDED,
    table.STRATEGY_RATE: RefusalReason.STRATEGY_RATE_EXCEEDED,
    table.DAILY_LOSS: RefusalReason.DAILY_LOSS_EXCEEDED,
    table.ORDER_NOTIONAL: RefusalReason.NOTIONAL_EXCEEDS_CAP,
    table.POSITION: RefusalReason.POSITION_EXCEEDS_CAP,
    table.GROSS: RefusalReason.GROSS_EXCEEDS_CAP,
    table.NAKED_SHORT: RefusalReason.NAKED_SHORT,
    table.NOT_BACKED: RefusalReason.CASH_INSUFFICIENT,
}
_ENDINGS = {
    table.END_OF_DATA: (OrderStatus.EXPIRED, OrderReason.END_OF_DATA),
    table.NO_FUNDS: (OrderStatus.CANCELED, OrderReason.INSUFFICIENT_FUNDS),
    table.WOULD_GROW: (OrderStatus.CANCELED, OrderReason.REDUCE_ONLY),
    table.NOT_AT_ONCE: (OrderStatus.CANCELED, OrderReason.IOC_REMAINDER),
    table.WOULD_TAKE: (OrderStatus.CANCELED, OrderReason.POST_ONLY_WOULD_TAKE),
    table.SELF_TRADE: (OrderStatus.EXPIRED, OrderReason.SELF_TRADE),
    table.CANCELED: (OrderStatus.CANCELED, OrderReason.CANCEL_REQUESTED),
}


class Sent(NamedTuple):
    """An order as its loop left it: sent at a row's close, with the words of `kernels/order_slots.py`."""

    row: int
    sign: int
    lots: int
    intent: int
    limit: int = NO_PRICE
    kind: int = 0
    slot: str = ""


class Filled(NamedTuple):
    """A fill as its loop left it: at a row's open, or inside it."""

    row: int
    paid: int
    is_inside: bool = False
    is_maker: bool = False


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What any loop leaves.

    Attributes:
        columns: The bars that it ran over.
        refusals: Shape (N_REFUSALS,): how often the gate said what.
        cash: In units of money, at the end; `lots` are signed.
    """

    terms: Terms
    columns: BarColumns
    refusals: IntArray
    n_intents: int
    cash: int
    lots: int


class Books:
    """Books orders and fills in their order.

    Args:
        prepared: The run.
        left: What its loop left.
        system: Whose ledger is told.
        recorder: Follows orders and fills.
    """

    def __init__(self, prepared: Prepared, left: Left, system: System, recorder: Recorder) -> None:
        self._left, self._recorder, self._ledger = left, recorder, system.ledger
        self._spec = prepared.spec
        self._strategy_id = prepared.strategies[0].strategy_id
        self._instrument = prepared.spec.instruments[0]
        settings = prepared.config.backtest
        self._taker_bps, self._maker_bps = settings.fee_bps, settings.maker_fee_bps
        self._tell = system.ledger.handlers()[FillEvent]
        self._ids = ClientOrderIds(prepared.spec.account_id, prepared.spec.run_id)
        self._n_trades = 0
        self.held = 0  # Lots.
        self.slippage_paid = Decimal(0)
        for code, count in enumerate(left.refusals.tolist()):
            if count:
                recorder.refusals[_REFUSALS[code].value] += count
        recorder.n_intents = left.n_intents

    def until(self, end: int) -> Iterator[int]:
        """Book what happened before row `end`; yield the rows of fills as they are booked."""
        raise NotImplementedError

    def finish(self) -> None:
        """Mark what is held, and compare the books with the loop's.

        Raises:
            InvariantError: They differ.
        """
        ledger, left = self._ledger, self._left
        ledger.mark_ticks[0] = int(left.columns.close[-1])
        cash = ratio(
            EXACT.multiply(Decimal(left.cash), self._spec.capital),
            Decimal(left.terms.capital),
        )
        held = ledger.account.position(0).qty
        if ledger.account.cash != cash:
            raise InvariantError(f"the ledger's cash is {ledger.account.cash}, the fused loop's {cash}")
        if held != self._instrument.qty(left.lots):
            raise InvariantError(f"the ledger holds {held}, the fused loop {left.lots} lots")

    def send(self, order: Sent) -> OrderEvent:
        """Record an order that was approved at a row's close."""
        ts_ns = int(self._left.columns.ts_ns[order.row])
        side: Side = BUY if order.sign > 0 else SELL
        intent = OrderIntent(
            ts_ns=ts_ns,
            instrument=0,
            account_id=self._spec.account_id,
            strategy_id=self._strategy_id,
            intent_id=f"{self._strategy_id}-{order.intent}",
            slice_id=order.slot,
            side=side,
            type=LIMIT if order.limit else MARKET,
            tif=TimeInForce.IOC if order.kind & IOC else TimeInForce.GTC,
            qty_lots=order.lots,
            limit_price_ticks=order.limit,
            reduce_only=bool(order.kind & REDUCE_ONLY),
            post_only=bool(order.kind & POST_ONLY),
        )
        event = approved(intent, self._ids, order.intent, limits_version=1)
        recorder = self._recorder
        recorder.observers[OrderEvent](event)
        recorder.accept(event.client_order_id, ts_ns)
        return event

    def end(self, sent: OrderEvent, how: int, end_ns: int) -> None:
        """Record how an order ended, by the codes of `kernels/fused_tables.py`."""
        status, reason = _ENDINGS.get(how, (OrderStatus.FILLED, OrderReason.NONE))
        self._recorder.end(sent.client_order_id, status, reason, end_ns)

    def fill(self, sent: OrderEvent, filled: Filled) -> None:
        """Book the fill of a whole order that has not ended yet."""
        columns, instrument, row = self._left.columns, self._instrument, filled.row
        self._n_trades += 1
        self.held += sent.side.sign * sent.qty_lots
        rate = self._maker_bps if filled.is_maker else self._taker_bps
        event = FillEvent(
            ts_ns=int(columns.ts_ns[row]),
            instrument=0,
            account_id=sent.account_id,
            strategy_id=sent.strategy_id,
            intent_id=sent.intent_id,
            client_order_id=sent.client_order_id,
            slice_id=sent.slice_id,
            venue_trade_id=str(self._n_trades),
            side=sent.side,
            price_ticks=filled.paid,
            qty_lots=sent.qty_lots,
            fee=instrument.fee(instrument.notional(filled.paid, sent.qty_lots), rate),
            fee_asset=instrument.quote,
            is_maker=filled.is_maker,
            ts_venue_ns=self.moment(row, filled.is_inside),
        )
        if not filled.is_maker:
            slipped = abs(filled.paid - int(columns.open[row]))
            self.slippage_paid = EXACT.add(self.slippage_paid, instrument.notional(slipped, sent.qty_lots))
        self._recorder.observers[FillEvent](event)
        self._tell(event)

    def moment(self, row: int, is_inside: bool) -> int:
        """Return the venue's time of a row's open, or of what happened inside the bar: its close."""
        columns = self._left.columns
        return int(columns.ts_ns[row] if is_inside else columns.ts_open_ns[row])
