"""How is an order sent once, alone or in another one's place, and what does the answer to it mean?

A POST is repeated only where the venue's own words prove that the first did nothing (its timestamp was refused, or its
weight), under the same id, within the time that an order may wait. Whatever is no clear word leaves it UNKNOWN.
"""

from collections.abc import Callable

import msgspec

from njord.core.contracts import BrokerOrderReq
from njord.core.types import OrderReason, OrderStatus, Severity
from njord.venues.binance_books import Books
from njord.venues.binance_chores import Chores
from njord.venues.binance_dialect import (
    Params,
    Reader,
    Unreadable,
    WireOrder,
    order_params,
    wire_type,
)
from njord.venues.binance_errors import Meaning, Verdict
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_orders import Tracked
from njord.venues.binance_outbox import Errand, Outbox, Outcome
from njord.venues.binance_replacement import (
    PATH,
    Replacement,
    read_placement,
    read_replacement,
    replace_params,
)
from njord.venues.broker_wire import Lane, Notice, Word


class _Placing(msgspec.Struct, eq=False):
    order: Tracked
    reader: Reader
    params: Params
    until_ns: int  # Sent by then, or not at all.
    path: str = "order"
    errand: Errand | None = None
    is_repeated: bool = False
    replaces: Tracked | None = None
    on_untried: Callable[[], None] | None = None


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

    def place(self, req: BrokerOrderReq, now_ns: int) -> Tracked:
        """Let an order wait for its turn; the rules were asked before."""
        order, reader, type_ = self._add(req)
        params = order_params(req, reader.instrument, type_)
        self._queue(_Placing(order, reader, params, self._until_ns(now_ns)))
        return order

    def replace(
        self, old: Tracked, req: BrokerOrderReq, on_untried: Callable[[], None], now_ns: int
    ) -> Tracked:
        """Let an order wait for its turn that takes the place of another one, of which nothing has filled.

        Args:
            old: The other one.
            req: As for `place`.
            on_untried: Told if the venue could not cancel it, so that nothing was done; the new order is forgotten.
            now_ns: The time.
        """
        order, reader, type_ = self._add(req)
        params = replace_params(old.client_order_id, req, reader.instrument, type_)
        self._queue(
            _Placing(
                order,
                reader,
                params,
                self._until_ns(now_ns),
                PATH,
                replaces=old,
                on_untried=on_untried,
            )
        )
        return order

    def _add(self, req: BrokerOrderReq) -> tuple[Tracked, Reader, str]:
        type_ = wire_type(req)
        assert type_ is not None
        self._books.activity += 1
        return self._books.tracker.add(req), self._books.readers[req.instrument], type_

    def _until_ns(self, now_ns: int) -> int:
        return now_ns + max(1, self._options.place_wait_ns)

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
            lane=Lane.PLACE, method="POST", path=placing.path, params=placing.params, weight=1, is_order=True,
            on_answer=on_answer, refusal=self._refusal, on_refused=on_refused, give_up_ns=placing.until_ns, on_given_up=on_given_up,
        )  # fmt: skip
        self._outbox.put(placing.errand)

    def _answered(self, placing: _Placing, outcome: Outcome, sent_ns: int, now_ns: int) -> None:
        order = placing.order
        self._waiting.pop(order.client_order_id, None)
        self._books.activity += 1
        order.sent_ns = order.sent_ns or sent_ns
        order.may_arrive_until_ns = sent_ns + self._options.absent_ns
        found = self._read(placing, outcome, sent_ns, now_ns)
        verdict = found.verdict
        meaning = verdict.meaning
        if found.placed is not None:
            try:
                self._placed(placing, found.placed, sent_ns, now_ns)
            except Unreadable as error:
                verdict = Verdict(meaning=Meaning.UNKNOWN, evidence=str(error))
                self._doubt(order, verdict, now_ns)
        elif found.is_untried and placing.on_untried is not None and self._books.tracker.forget(order):
            placing.on_untried()
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

    # What the answer says of the new order; what it says of a replaced one is taken at once, as it came first.
    def _read(self, placing: _Placing, outcome: Outcome, sent_ns: int, now_ns: int) -> Replacement:
        old = placing.replaces
        if old is None:
            return read_placement(outcome)
        found = read_replacement(outcome)
        old.note(f"to be replaced: {found.verdict.evidence or 'done'}")
        try:
            if found.canceled is None:
                raise Unreadable("nobody has said that it was canceled")
            view = placing.reader.named(found.canceled, old.client_order_id)
            self._books.view(old, view, sent_ns, now_ns)
        except Unreadable:
            self._chores.want(("order", old.client_order_id), now_ns)
        return found

    def _placed(self, placing: _Placing, wire: WireOrder, sent_ns: int, now_ns: int) -> None:
        order, reader = placing.order, placing.reader
        view, fills = reader.named(wire, order.client_order_id), reader.fills(wire)
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
