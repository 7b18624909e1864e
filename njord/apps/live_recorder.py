"""What has come of a live session? As in a backtest, and with what only a real venue does: trades of others, late trades."""

from njord.backtest.recorder import Recorder
from njord.core.contracts import EXTERNAL_OWNER, FillEvent
from njord.core.errors import InvariantError

EXTERNAL_END = "external"


class LiveRecorder(Recorder):
    """Follows the engine's output; a trade that belongs to no open order is recorded where it belongs."""

    def _fill(self, fill: FillEvent) -> None:
        if fill.strategy_id == EXTERNAL_OWNER:
            self.fills.add(fill, self.orders.add_unsent(fill, EXTERNAL_END))
            return
        name = fill.client_order_id
        course = self._open.get(name)
        order_no = self.orders.find(name) if course is None else course.order_no  # It has ended, or works.
        if not order_no:
            raise InvariantError(f"a trade of order {name}, which nobody sent, is booked on a strategy")
        self.fills.add(fill, order_no)
