"""What became of each of our orders? Views and trades from any source in, words in a legal order out.

The same trade comes by the stream, in the answer to the order and from myTrades; reports overtake each other, and old
ones come late. Here a trade is told once, by its id; what the venue has executed only grows; an end that was seen
stays, and is told when as much was told as the venue says was executed. An order of which nothing is known is UNKNOWN,
and ends by evidence alone.
"""

from collections.abc import Callable, Iterable

import msgspec

from njord.core.contracts import BrokerFill, BrokerOrderReq, BrokerOrderUpdate
from njord.core.orders import TERMINAL
from njord.core.types import MARKET, OrderReason, OrderStatus, OrderType, Severity, TimeInForce
from njord.core.units import FOREVER_NS
from njord.venues.binance_dialect import OrderView, TradeView, Unreadable
from njord.venues.broker_wire import KnownLeg, Notice, Word

_S, _R = OrderStatus, OrderReason
_EVIDENCE_MAX = 20
_BY_TIF = {TimeInForce.IOC: _R.IOC_REMAINDER, TimeInForce.FOK: _R.FOK_UNFILLED}


class Tracked(msgspec.Struct, kw_only=True, eq=False):
    """One order of ours.

    Attributes:
        status: Last told, PARTIALLY_FILLED apart.
        order_id: The venue's; empty until it has named it.
        trade_ids: Told.
        filled_lots: Told, overfills included.
        executed_lots: The most that the venue has named.
        end: Its end as the venue has named it; told when all its trades have been.
        may_arrive_until_ns: Before, "no such order" is not believed.
        n_absent: Such answers, asked for after that.
        unknown_since_ns: 0 if it is not.
        evidence: What has been tried and heard.
        is_cancel_wanted: Until it ends.
        is_intruder: It works although its end was told: it arrived late.
        is_triggered: It was told that its trigger was reached.
        sent_ns: When it left; 0 = it waits.
        seen_ns: When the question left whose answer showed it last.
        ts_venue_ns: The latest time that the venue has named.
    """

    req: BrokerOrderReq
    status: OrderStatus = _S.SENT
    order_id: str = ""
    trade_ids: set[int] = msgspec.field(default_factory=set)
    filled_lots: int = 0
    executed_lots: int = 0
    end: OrderView | None = None
    may_arrive_until_ns: int = FOREVER_NS
    n_absent: int = 0
    unknown_since_ns: int = 0
    evidence: list[str] = msgspec.field(default_factory=list)
    is_cancel_wanted: bool = False
    is_intruder: bool = False
    is_triggered: bool = False
    sent_ns: int = 0
    seen_ns: int = 0
    ts_venue_ns: int = 0

    @property
    def client_order_id(self) -> str:
        """Our name for it."""
        return self.req.client_order_id

    @property
    def has_ended(self) -> bool:
        """Whether its end was told."""
        return self.status in TERMINAL

    @property
    def lacks_trades(self) -> bool:
        """Whether the venue has executed more of it than was told."""
        return self.filled_lots < self.executed_lots

    def note(self, line: str) -> None:
        """Keep one line of evidence: the first and the last ones."""
        if len(self.evidence) >= _EVIDENCE_MAX:
            del self.evidence[1]
        self.evidence.append(line)


class Tracker:
    """All orders of a session.

    Args:
        say: Takes words for the host.
        ended_kept: How many ended orders are remembered.
        absent_votes: How many believable "no such order" end one.

    Attributes:
        open: Orders that can still change, by client order id; in the order of their placing.
    """

    def __init__(self, say: Callable[[Word], None], ended_kept: int, absent_votes: int) -> None:
        self._say = say
        self._ended_kept = ended_kept
        self._absent_votes = absent_votes
        self.open: dict[str, Tracked] = {}
        self._ended: dict[str, Tracked] = {}
        self._by_venue_id: dict[tuple[int, str], Tracked] = {}

    # --- which order ---

    def get(self, client_order_id: str) -> Tracked | None:
        """Return an order of ours by our name."""
        return self.open.get(client_order_id) or self._ended.get(client_order_id)

    def by_venue_id(self, instrument: int, order_id: str) -> Tracked | None:
        """Return an order of ours by the venue's name."""
        return self._by_venue_id.get((instrument, order_id))

    def of(self, instrument: int) -> Iterable[Tracked]:
        """Return the open orders of one symbol."""
        return [each for each in self.open.values() if each.req.instrument == instrument]

    def add(self, req: BrokerOrderReq) -> Tracked:
        """Begin with an order that is about to be sent."""
        order = self.open[req.client_order_id] = Tracked(req=req)
        return order

    def adopt(
        self, req: BrokerOrderReq, leg: KnownLeg, has_ended: bool, may_arrive_until_ns: int, now_ns: int
    ) -> Tracked:
        """Go on with an order of the journal: one without an answer there is UNKNOWN, and the host knows."""
        order = Tracked(
            req=req,
            order_id=leg.venue_order_id,
            trade_ids={int(trade_id) for trade_id in leg.trade_ids},
            filled_lots=leg.filled_lots,
            executed_lots=leg.filled_lots,
            may_arrive_until_ns=may_arrive_until_ns,
            sent_ns=req.ts_ns,
        )
        if leg.venue_order_id:
            self._by_venue_id[(req.instrument, leg.venue_order_id)] = order
        if has_ended:
            order.status = _S.CANCELED if leg.venue_order_id or leg.filled_lots else _S.REJECTED
            self._keep(order)
            return order
        self.open[order.client_order_id] = order
        if leg.venue_order_id or leg.filled_lots:
            order.status = _S.ACCEPTED
        else:
            order.status, order.unknown_since_ns = _S.UNKNOWN, now_ns
            order.note("the session was started again; the journal has no answer of the venue")
        return order

    # --- what is seen ---

    def saw(self, order: Tracked, view: OrderView) -> bool:
        """Take the venue's view of an order; return whether it told anything new.

        Raises:
            Unreadable: It is not this order: another account's, or another one's.
        """
        req = order.req
        if (
            view.side is not req.side
            or view.lots != req.qty_lots
            or order.order_id not in ("", view.order_id)
        ):
            raise Unreadable(f"{order.client_order_id} is said to be another order than was sent")
        before = (order.status, order.executed_lots, order.end is None)
        self._name(order, view.order_id)
        order.ts_venue_ns = max(order.ts_venue_ns, view.ts_venue_ns)
        order.executed_lots = max(order.executed_lots, view.executed_lots)
        if order.has_ended and not order.is_intruder:
            self._after_end(order, view)
        elif view.status is not _S.REJECTED:
            self._found(order, view.ts_venue_ns)
        if view.status in TERMINAL and (order.end is None or view.executed_lots > order.end.executed_lots):
            order.end = view
        self._settle(order)
        return before != (order.status, order.executed_lots, order.end is None)

    def works(self, order: Tracked, ts_venue_ns: int) -> None:
        """Tell once that an order's trigger was reached; after a trade of it nobody needs to be told."""
        is_known = order.is_triggered or order.filled_lots > 0 or order.has_ended
        if order.req.type.is_conditional and not is_known:
            order.is_triggered = True
            self._say(_update(order, _R.TRIGGERED, ts_venue_ns))

    def traded(self, order: Tracked, trade: TradeView) -> bool:
        """Take one execution of an order; return whether it is new.

        Raises:
            Unreadable: It can not be this order's.
        """
        req = order.req
        if trade.side is not req.side:
            raise Unreadable(f"trade {trade.trade_id} is not on the side of {order.client_order_id}")
        if trade.trade_id in order.trade_ids:
            return False
        self._name(order, trade.order_id)
        order.ts_venue_ns = max(order.ts_venue_ns, trade.ts_venue_ns)
        if order.has_ended and not order.is_intruder:
            self._alarm(
                "a trade came after its order's end", order, f"trade {trade.trade_id}", Severity.ERROR
            )
        elif not order.has_ended:
            self._found(order, trade.ts_venue_ns)
        order.trade_ids.add(trade.trade_id)
        order.filled_lots += trade.lots
        order.executed_lots = max(order.executed_lots, order.filled_lots)
        if order.filled_lots > req.qty_lots:
            words = f"{order.filled_lots} of {req.qty_lots} lots, with trade {trade.trade_id}"
            self._alarm("an order filled beyond its quantity", order, words)
        self._say(fill_word(order.client_order_id, trade))
        self._settle(order)
        return True

    def refused(self, order: Tracked, reason: OrderReason, ts_venue_ns: int) -> bool:
        """End an order that the venue has refused, or that was never sent; return False where it is known to exist."""
        if order.status not in (_S.SENT, _S.UNKNOWN):
            return False
        self._end(order, _S.REJECTED, reason, ts_venue_ns)
        return True

    def forget(self, order: Tracked) -> bool:
        """Forget an order of which the venue says that it tried nothing; return False where it is known to exist."""
        if order.status is not _S.SENT:
            return False
        del self.open[order.client_order_id]
        return True

    def withdrawn(self, order: Tracked, now_ns: int) -> None:
        """End an order that was to be canceled before it had left."""
        self._end(order, _S.CANCELED, _R.CANCEL_REQUESTED, now_ns)

    def doubted(self, order: Tracked, line: str, now_ns: int) -> None:
        """Take note that nobody knows what became of an order; one that is known to exist stays what it was."""
        order.note(line)
        if order.status is _S.SENT:
            order.status, order.unknown_since_ns = _S.UNKNOWN, now_ns
            self._say(_update(order, _R.OUTCOME_UNKNOWN, now_ns))

    def absent(self, order: Tracked, line: str, asked_ns: int, now_ns: int) -> None:
        """Take an answer that there is no such order: it counts once the order can not arrive any more."""
        order.note(line)
        if order.has_ended or order.status is _S.SENT:
            return
        if order.order_id:
            if order.status is not _S.UNKNOWN:
                self._alarm("the venue denies an order that it had taken", order, line)
                order.status, order.unknown_since_ns = _S.UNKNOWN, now_ns
                self._say(_update(order, _R.OUTCOME_UNKNOWN, now_ns))
            return
        if asked_ns < order.may_arrive_until_ns:
            return
        order.n_absent += 1
        if order.n_absent >= self._absent_votes:
            self._end(order, _S.REJECTED, _R.NEVER_ARRIVED, now_ns)

    def archived(self, order: Tracked, now_ns: int) -> None:
        """End an order of which the venue says that it ended without a fill long ago."""
        if not order.has_ended and not order.executed_lots:
            self._end(order, _S.CANCELED, _R.VENUE_CANCELED, now_ns)

    # --- what follows ---

    def _name(self, order: Tracked, order_id: str) -> None:
        if not order.order_id:
            order.order_id = order_id
            self._by_venue_id[(order.req.instrument, order_id)] = order

    def _found(self, order: Tracked, ts_venue_ns: int) -> None:
        if order.status not in (_S.SENT, _S.UNKNOWN):
            return
        order.status = _S.ACCEPTED
        order.unknown_since_ns = order.n_absent = 0
        self._say(_update(order, _R.NONE, ts_venue_ns))

    # Our books have ended it as refused; so it must not work, and what it fills is told all the same.
    def _after_end(self, order: Tracked, view: OrderView) -> None:
        if order.status is not _S.REJECTED or view.status is _S.REJECTED:
            return
        self._alarm(
            "an order came to life after its end", order, f"the venue says {view.status}; it is canceled"
        )
        order.is_intruder = order.is_cancel_wanted = True
        self._ended.pop(order.client_order_id, None)
        self.open[order.client_order_id] = order

    def _settle(self, order: Tracked) -> None:
        if order.lacks_trades:
            return
        end = order.end
        if order.has_ended:
            if end is not None and self.open.pop(order.client_order_id, None) is not None:
                self._keep(order)
        elif order.filled_lots >= order.req.qty_lots:
            self._end(order, _S.FILLED, _R.NONE, order.ts_venue_ns)
        elif end is not None and end.status is not _S.FILLED:
            reason = _reason(order, end)
            is_own_end = reason is own_end(order.req.type, order.req.tif)
            status = _S.CANCELED if is_own_end else end.status
            self._end(order, status, reason, order.ts_venue_ns)

    def _end(self, order: Tracked, status: OrderStatus, reason: OrderReason, ts_venue_ns: int) -> None:
        order.status, order.unknown_since_ns = status, 0
        self._say(_update(order, reason, ts_venue_ns))
        del self.open[order.client_order_id]
        self._keep(order)

    def _keep(self, order: Tracked) -> None:
        self._ended[order.client_order_id] = order
        while len(self._ended) > self._ended_kept:
            gone = self._ended.pop(next(iter(self._ended)))
            self._by_venue_id.pop((gone.req.instrument, gone.order_id), None)

    def _alarm(self, title: str, order: Tracked, words: str, severity: Severity = Severity.CRITICAL) -> None:
        labels = (("symbol", order.req.symbol), ("client_order_id", order.client_order_id))
        message = f"{order.client_order_id}: {words}"
        self._say(Notice(severity=severity, title=title, message=message, labels=labels))


def fill_word(client_order_id: str, trade: TradeView) -> BrokerFill:
    """Return an execution as a word."""
    return BrokerFill(
        client_order_id=client_order_id,
        venue_trade_id=str(trade.trade_id),
        price_ticks=trade.price_ticks,
        qty_lots=trade.lots,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        is_maker=trade.is_maker,
        ts_venue_ns=trade.ts_venue_ns,
    )


def update_word(
    order: Tracked, status: OrderStatus, reason: OrderReason, ts_venue_ns: int
) -> BrokerOrderUpdate:
    """Return what is true of an order as a word."""
    req = order.req
    return BrokerOrderUpdate(
        client_order_id=req.client_order_id,
        venue_order_id=order.order_id,
        symbol=req.symbol,
        side=req.side,
        type=req.type,
        status=status,
        reason=reason,
        qty_lots=req.qty_lots,
        filled_lots=order.filled_lots,
        limit_price_ticks=req.limit_price_ticks,
        ts_venue_ns=ts_venue_ns,
        trigger_price_ticks=req.trigger_price_ticks,
    )


def _update(order: Tracked, reason: OrderReason, ts_venue_ns: int) -> BrokerOrderUpdate:
    status = order.status
    if status is _S.ACCEPTED and order.filled_lots:
        status = _S.PARTIALLY_FILLED
    return update_word(order, status, reason, ts_venue_ns)


# The venue has no words for why an order ended; its kind tells.
def _reason(order: Tracked, end: OrderView) -> OrderReason:
    if end.status is _S.REJECTED:
        return _R.VENUE_REFUSED
    if end.is_self_trade:
        return _R.SELF_TRADE
    if end.status is _S.CANCELED and order.is_cancel_wanted:
        return _R.CANCEL_REQUESTED
    return own_end(order.req.type, order.req.tif) or _R.VENUE_CANCELED


def own_end(type_: OrderType, tif: TimeInForce) -> OrderReason | None:
    """Return how an order that never rests ends by its own terms: EXPIRED at the venue, CANCELED in our words."""
    if type_ is MARKET:
        return _R.NO_LIQUIDITY
    return _BY_TIF.get(tif)
