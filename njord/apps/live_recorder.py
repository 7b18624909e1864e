"""What has come of a live session? As in a backtest, and with what only a real venue does: trades of others, late trades."""

from njord.backtest.recorder import Recorder
from njord.core.contracts import EXTERNAL_OWNER, FillEvent
from njord.core.errors import InvariantError

EXTERNAL_END = "external"


class LiveRecorder(Recorder):
    """Follows the engine's output; a trade that belongs to no open order is recorded where it belongs."""

    def _fill(self, fill: FillEvent) -> None:
        if fill.strategy_id == EXTERNAL_OWNER:
            self.orders.fill(self._unsent(fill, EXTERNAL_END), fill)
            return
        name = fill.client_order_id
        index = self._open.get(name, -1)
        if index < 0:
            index = self.orders.find(name)  # It has ended.
        if index < 0:
            raise InvariantError(f"a trade of order {name}, which nobody sent, is booked on a strategy")
        self.orders.fill(index, fill)
