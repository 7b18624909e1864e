"""What has come of a live session? As in a backtest, and with what only a real venue does: trades of others, late trades."""

from njord.backtest.recorder import RecordedOrder, Recorder
from njord.core.contracts import EXTERNAL_OWNER, FillEvent
from njord.core.errors import InvariantError

EXTERNAL_END = "external"


class LiveRecorder(Recorder):
    """Follows the engine's output; a trade that belongs to no open order is recorded where it belongs."""

    def _fill(self, fill: FillEvent) -> None:
        if fill.strategy_id == EXTERNAL_OWNER:
            self._add(self._unsent(fill, EXTERNAL_END), fill)
        else:
            self._add(self._open.get(fill.client_order_id) or self._ended(fill.client_order_id), fill)

    def _ended(self, client_order_id: str) -> RecordedOrder:
        for order in reversed(self.orders):
            if order.sent is not None and order.sent.client_order_id == client_order_id:
                return order
        raise InvariantError(
            f"a trade of order {client_order_id}, which nobody sent, is booked on a strategy"
        )
