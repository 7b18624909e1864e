"""What has come of a live session? As in a backtest, and with what only a real venue does: trades of others, late trades."""

from njord.backtest.recorder import RecordedFill, RecordedOrder, Recorder
from njord.core.contracts import EXTERNAL_OWNER, NO_PRICE, FillEvent
from njord.core.types import MARKET, TimeInForce

EXTERNAL_END = "external"


class LiveRecorder(Recorder):
    """Follows the engine's output; a trade that belongs to no open order is recorded where it belongs."""

    def _fill(self, fill: FillEvent) -> None:
        if fill.strategy_id != EXTERNAL_OWNER and fill.client_order_id in self._open:
            super()._fill(fill)
            return
        order = self._external(fill) if fill.strategy_id == EXTERNAL_OWNER else self._ended(fill)
        recorded = RecordedFill(
            fill.ts_venue_ns,
            fill.ts_ns,
            fill.instrument,
            fill.side,
            fill.price_ticks,
            fill.qty_lots,
            fill.fee,
            fill.fee_asset,
            fill.is_maker,
            order.order_no,
        )
        order.fills.append(recorded)
        self.fills.append(recorded)

    def _ended(self, fill: FillEvent) -> RecordedOrder:
        for order in reversed(self.orders):
            if order.sent is not None and order.sent.client_order_id == fill.client_order_id:
                return order
        return self._external(fill)

    # Nobody sent it: one order for one trade, as a liquidation is recorded.
    def _external(self, fill: FillEvent) -> RecordedOrder:
        order = RecordedOrder(
            order_no=len(self.orders) + 1,
            ts_ns=fill.ts_ns,
            instrument=fill.instrument,
            strategy_id=EXTERNAL_OWNER,
            side=fill.side,
            type=MARKET,
            tif=TimeInForce.IOC,
            limit_price_ticks=NO_PRICE,
            qty_lots=fill.qty_lots,
            sent=None,
            accepted_ns=fill.ts_venue_ns,
            end_ns=fill.ts_venue_ns,
            terminal=EXTERNAL_END,
        )
        self.orders.append(order)
        self.endings[EXTERNAL_END] += 1
        return order
