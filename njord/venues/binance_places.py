"""How is an order sent once, and what does the answer to it mean?

A POST is repeated only where the venue's own words prove that the first did nothing (its timestamp was refused, or its
weight), under the same id, within the time that an order may wait. Whatever is no clear word leaves it UNKNOWN.
"""

from collections.abc import Callable

import msgspec

from njord.core.contracts import BrokerOrderReq
from njord.core.types import OrderReason, OrderStatus, Severity
from njord.venues.binance_books import Books
from njord.venues.binance_chores import Chores
from njord.venues.binance_dialect import Params, Reader, Unreadable, WireOrder, order_params, read, wire_type
from njord.venues.binance_errors import Meaning, Verdict, judge
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_orders import Tracked
from njord.venues.binance_outbox import Errand, Outbox, Outcome
from njord.venues.broker_wire import Answer, Lane, Notice, Word


class _Placing(msgspec.Struct, eq=False):
    order: Tracked
    reader: Reader
    params: Params
    until_ns: int  # Sent by then, or not at all.
    errand: Errand | None = None
    is_repeated: bool = False


class Places:
    """Orders on their way.

    Args:
        options: How long one may wait.
        outbox: What carries them.
        books: What follows them.
        chores: Takes what must be asked afterwards.
        say: Takes words for the host.
        refusal: Says why nothing may be sent now; empty if it may.
        judged: Told what each answer means beyond the order.
    """

    def __init__(
        self,
        options: CoreOptions,
        outbox: Outbox,
        books: Books,
        chores: Chores,
        say: Callable[[Word], None],
        refusal: Callable[[int], str],
        judged: Callable[[Verdict, int], None],
    ) -> None:
        self._options = options
        self._outbox = outbox
        self._books = books
        self._chores = chores
        self._say = say
        self._refusal = refusal
        self._judged = judged
        self._waiting: dict[str, _Placing] = {}

    def place(self, req: BrokerOrderReq, reader: Reader, now_ns: int) -> None:
        """Let an order wait for its turn; the rules were asked before."""
        type_ = wire_type(req)
        assert type_ is not None
        order = self._books.tracker.add(req)
        self._books.activity += 1
        params = order_params(req, reader.instrument, type_)
        self._queue(_Placing(order, reader, params, now_ns + max(1, self._options.place_wait_ns)))

    def withdraw(self, order: Tracked, now_ns: int) -> bool:
        """End an order that has not left; say whether it had not."""
        placing = self._waiting.get(order.client_order_id)
        if placing is None or placing.errand is None or not self._outbox.drop(placing.errand):
            return False
        del self._waiting[order.client_order_id]
        self._books.tracker.withdrawn(order, now_ns)
        return True

    def _queue(self, placing: _Placing) -> None:
        def on_answer(outcome: Outcome, sent_ns: int, now_ns: int) -> None:
            self._answered(placing, outcome, sent_ns, now_ns)

        def on_refused(why: str, now_ns: int) -> None:
            self._refuse(placing, OrderReason.VENUE_NOT_READY, why, now_ns)

        def on_given_up(now_ns: int) -> None:
            self._refuse(placing, OrderReason.RATE_LIMITED, "it could not leave in time", now_ns)

        self._waiting[placing.order.client_order_id] = placing
        placing.errand = Errand(
            lane=Lane.PLACE, method="POST", path="order", params=placing.params, weight=1, is_order=True,
            on_answer=on_answer, refusal=self._refusal, on_refused=on_refused, give_up_ns=placing.until_ns, on_given_up=on_given_up,
        )  # fmt: skip
        self._outbox.put(placing.errand)

    def _answered(self, placing: _Placing, outcome: Outcome, sent_ns: int, now_ns: int) -> None:
        order = placing.order
        self._waiting.pop(order.client_order_id, None)
        self._books.activity += 1
        order.sent_ns = order.sent_ns or sent_ns
        order.may_arrive_until_ns = sent_ns + self._options.absent_ns
        verdict = judge(outcome)
        meaning = verdict.meaning
        if meaning is Meaning.DONE and isinstance(outcome, Answer):
            try:
                self._placed(placing, outcome.body, sent_ns, now_ns)
            except Unreadable as error:
                verdict = Verdict(meaning=Meaning.UNKNOWN, evidence=str(error))
                self._doubt(order, verdict, now_ns)
        elif meaning in (Meaning.REFUSED, Meaning.UNSENT):
            self._refuse(placing, verdict.reason, verdict.evidence, now_ns)
        elif meaning is Meaning.KEY:
            self._refuse(placing, OrderReason.VENUE_REFUSED, verdict.evidence, now_ns)
        elif meaning in (Meaning.CLOCK, Meaning.SLOW_DOWN, Meaning.BANNED):
            self._repeat(placing, verdict, now_ns)
        else:
            self._doubt(order, verdict, now_ns)
        self._judged(verdict, now_ns)
        if order.is_cancel_wanted and order.end is None and order.client_order_id in self._books.tracker.open:
            self._chores.ensure(("cancel", order.client_order_id), now_ns)

    def _placed(self, placing: _Placing, body: bytes, sent_ns: int, now_ns: int) -> None:
        order, reader = placing.order, placing.reader
        wire = read(body, WireOrder)
        view, fills = reader.order(wire), reader.fills(wire)
        if view.client_order_id != order.client_order_id:
            raise Unreadable(f"placed {order.client_order_id}, got {view.client_order_id[:40]!a}")
        self._books.fills(order, fills, now_ns)
        self._books.view(order, view, sent_ns, now_ns)

    def _doubt(self, order: Tracked, verdict: Verdict, now_ns: int) -> None:
        self._books.tracker.doubted(order, f"sent: {verdict.evidence}", now_ns)
        if not order.has_ended:
            self._chores.want(("order", order.client_order_id), now_ns)

    # The venue's engine has not seen it; the same order may go once more, while it may still go.
    def _repeat(self, placing: _Placing, verdict: Verdict, now_ns: int) -> None:
        order = placing.order
        is_late = now_ns + verdict.retry_after_ns >= placing.until_ns
        if placing.is_repeated or is_late or order.is_cancel_wanted or order.status is not OrderStatus.SENT:
            is_clock = verdict.meaning is Meaning.CLOCK
            reason = OrderReason.VENUE_REFUSED if is_clock else OrderReason.RATE_LIMITED
            self._refuse(placing, reason, verdict.evidence, now_ns)
            return
        placing.is_repeated = True
        self._queue(placing)

    def _refuse(self, placing: _Placing, reason: OrderReason, words: str, now_ns: int) -> None:
        order = placing.order
        self._waiting.pop(order.client_order_id, None)
        if not self._books.tracker.refused(order, reason, now_ns):
            # Something has shown that it exists: it must be asked.
            order.note(f"sent: {words}")
            self._chores.want(("order", order.client_order_id), now_ns)
        elif reason is OrderReason.VENUE_REFUSED:
            labels = (("symbol", order.req.symbol), ("client_order_id", order.client_order_id))
            title, message = "the venue has refused an order", f"{order.client_order_id}: {words}"
            self._say(Notice(severity=Severity.WARNING, title=title, message=message, labels=labels))
