"""What is known of one order that was amended? Its legs at the venue, what holds, what is wanted, and what may follow.

`binance_amendments.py` decides by it; nothing here sends or tells.
"""

import msgspec
from msgspec.structs import replace

from njord.core.contracts import BrokerOrderReq, BrokerOrderUpdate
from njord.core.ids import leg_id
from njord.core.types import LIMIT, OrderReason, OrderStatus
from njord.venues.binance_orders import Tracked
from njord.venues.broker_wire import Amendment

_S, _R = OrderStatus, OrderReason


class Chain(msgspec.Struct, kw_only=True, eq=False):
    """One order with amendments.

    Attributes:
        req: What holds: quantity of the whole order, prices; under the order's name.
        legs: At the venue, oldest first; the last one holds.
        wanted: Amendments without an answer; the first one may be under way.
        n_asked: How many there ever were.
        coming: The leg that is to take the last one's place.
        coming_req: What holds then.
        is_canceling: The last leg is canceled to make room.
        until_ns: How long room may be waited for.
        held_back: The end of the last leg, while it may be no end of the order.
        lost: Why the coming leg did not come; NONE = it has not failed.
        is_cancel_wanted: The host wants no more of it.
    """

    req: BrokerOrderReq
    legs: list[Tracked]
    wanted: list[Amendment] = []
    n_asked: int = 0
    coming: Tracked | None = None
    coming_req: BrokerOrderReq | None = None
    is_canceling: bool = False
    until_ns: int = 0
    held_back: BrokerOrderUpdate | None = None
    lost: OrderReason = _R.NONE
    is_cancel_wanted: bool = False

    @property
    def name(self) -> str:
        """The order's."""
        return self.req.client_order_id

    @property
    def leg(self) -> Tracked:
        """The last one."""
        return self.legs[-1]

    @property
    def filled_lots(self) -> int:
        """Of all legs."""
        return sum(each.filled_lots for each in self.legs)

    @property
    def may_go_on(self) -> bool:
        """Whether the end of the last leg may be none of the order."""
        is_doubtful = bool(self.wanted) and self.wanted[0].is_of_before
        return self.is_canceling or self.coming is not None or is_doubtful

    @property
    def may_begin(self) -> bool:
        """Whether the next amendment can begin: the last leg is known to work."""
        leg = self.leg
        is_seen = leg.status not in (_S.SENT, _S.UNKNOWN) and leg.end is None and not leg.has_ended
        return bool(self.wanted) and is_seen and not self.is_canceling and not self.is_cancel_wanted

    @property
    def is_triggered(self) -> bool:
        """Whether its trigger was reached."""
        return any(each.is_triggered for each in self.legs)

    @property
    def may_have_gone_on(self) -> bool:
        """Whether the end of the last leg may be the work of an amendment behind the one that is looked at."""
        return any(each.is_of_before for each in self.wanted[1:])

    def amended(self, wanted: Amendment) -> BrokerOrderReq:
        """Return what holds once an amendment was made."""
        holds = self.req
        return replace(
            holds,
            qty_lots=wanted.qty_lots or holds.qty_lots,
            limit_price_ticks=wanted.limit_price_ticks or holds.limit_price_ticks,
            trigger_price_ticks=wanted.trigger_price_ticks or holds.trigger_price_ticks,
        )

    def leg_req(self, req: BrokerOrderReq, lots: int, now_ns: int) -> BrokerOrderReq:
        """Return the request of the next leg; an order whose trigger was reached is a plain one from then on."""
        name = leg_id(self.name, self.wanted[0].revision)
        leg_req = replace(req, client_order_id=name, qty_lots=lots, ts_ns=now_ns)
        return replace(leg_req, type=LIMIT, trigger_price_ticks=0) if self.is_triggered else leg_req

    def may_become(self, req: BrokerOrderReq) -> bool:
        """Whether it changes something, leaves something, and asks for nothing that such an order has not.

        The simulated venue asks the same (`requests.py`).
        """
        holds = self.req
        if req == holds or req.qty_lots <= self.filled_lots:
            return False
        if req.limit_price_ticks and not holds.limit_price_ticks:
            return False
        is_new_trigger = req.trigger_price_ticks != holds.trigger_price_ticks
        return not (is_new_trigger and (self.is_triggered or not holds.trigger_price_ticks))
