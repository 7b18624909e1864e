"""The live broker without I/O: orders, answers, stream events and the time in; requests and words out.

The first file to read of this family. An order is checked against the rules in force, sent once, and followed
(`binance_orders.py`) by whatever tells of it; questions are asked by name (`binance_queries.py`) and carried within the
venue's budget (`binance_outbox.py`). Orders may be sent while key, clock, stream and books are in order: anything that
puts that in doubt halts, and only a finished reconciliation (`binance_rounds.py`) ends the halt.
"""

from collections.abc import Mapping, Sequence
from random import Random

from njord.core.contracts import (
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerOrderReq,
    BrokerPending,
    BrokerReject,
    BrokerReply,
)
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, OrderStatus, Severity, TradingState
from njord.core.units import FOREVER_NS, NS_PER_S
from njord.venues.binance_amendments import Amendments
from njord.venues.binance_books import Books
from njord.venues.binance_chores import Chores, Key
from njord.venues.binance_clock import VenueClock
from njord.venues.binance_dialect import Envelope, Unreadable, WireReport, read
from njord.venues.binance_errors import Meaning, Verdict
from njord.venues.binance_options import CoreOptions, StreamKind, StreamWish
from njord.venues.binance_outbox import Outbox, Outcome
from njord.venues.binance_places import Places
from njord.venues.binance_queries import Queries
from njord.venues.binance_rounds import Accounts, Round, Stranger
from njord.venues.binance_rules import Rules
from njord.venues.binance_stream import UserStream
from njord.venues.broker_wire import (
    Ask,
    Balances,
    Health,
    KnownOrder,
    Notice,
    UnknownOrder,
    Word,
)

_STREAM_ENDS = frozenset({"listenKeyExpired", "eventStreamTerminated", "serverShutdown"})
_RECONCILING = "the venue's books are being read"


class BinanceBrokerCore:
    """One account at Binance.US. Times are the host's, epoch ns.

    Args:
        instruments: What is traded, by index; their steps never change within a session.
        options: How patient, how careful.
        known: The session's orders, oldest first, when it goes on.
        cursors: The last trade told, by symbol.
        jitter: Spreads repeated questions; seeded by the caller.

    Attributes:
        rules: The symbols' rules in force.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        options: CoreOptions,
        known: Sequence[KnownOrder] = (),
        cursors: Mapping[str, str] = {},
        *,
        jitter: Random,
    ) -> None:
        self._instruments = instruments
        self._options = options
        self._known, self._known_cursors = known, cursors
        self._words: list[Word] = []
        self._clock = VenueClock(options.clock_tolerance_ns, options.clock_offset_max_ns)
        self._outbox = Outbox(options, self._clock)
        self._chores = Chores(options.backoff_first_ns, options.backoff_max_ns, jitter)
        self._stream = UserStream(options, self._clock, self._chores.patience_ns)
        self._books = Books(instruments, options, self._hear_books, self._chores, self._stream, self._clock)
        self._accounts = Accounts(options.account_uid)
        self._stranger = Stranger()
        self.rules = Rules(instruments, options.venue)
        self._queries = Queries(
            options, self._outbox, self._chores, self._books, self._clock, self.rules, self._accounts, self
        )
        self._places = Places(
            options, self._outbox, self._books, self._chores, self._words.append, self._cause, self.judged
        )
        self._amendments = Amendments(
            options, self._books, self._places, self._chores, self._words.append, self._refusal
        )
        self._is_started = False
        self._health: Health | None = None
        self._round: Round | None = None
        self._is_reconciled = False
        self._round_due_ns = self._look_due_ns = FOREVER_NS
        self._key_refused = self._account_refused = ""
        self._banned_until_ns = 0
        self._failing_since_ns = FOREVER_NS
        self.next_wake_ns = FOREVER_NS

    # --- what the host wants ---

    def start(self, now_ns: int) -> None:
        """Measure the clock, read the rules, open the stream, reconcile; then Health says ACTIVE."""
        self._is_started = True
        legs = self._books.adopt(self._known, self._known_cursors, self._options, now_ns)
        self._amendments.adopt(self._known, legs, now_ns)
        self._go_on(now_ns)

    def place(self, req: BrokerOrderReq, now_ns: int) -> BrokerReply:
        """Send an order once; what becomes of it is told by words. A reject means that nothing was sent."""
        reason, detail = self._refusal(req, now_ns)
        if reason is not OrderReason.NONE:
            return BrokerReject(
                client_order_id=req.client_order_id, reason=reason, detail=detail, ts_venue_ns=now_ns
            )
        self._places.place(req, now_ns)
        self._go_on(now_ns)
        return BrokerPending(client_order_id=req.client_order_id)

    def cancel(self, req: BrokerCancelReq, now_ns: int) -> BrokerReply:
        """See to it that an order ends, however often that must be asked; its own update says when it has."""
        legs = self._amendments.working(req.client_order_id)
        if not legs:
            return BrokerReject(
                client_order_id=req.client_order_id,
                reason=OrderReason.NONE,
                detail="the order has ended, or was never placed here",
                ts_venue_ns=now_ns,
            )
        for order in legs:
            order.is_cancel_wanted = True
            if not self._places.withdraw(order, now_ns) and order.status is not OrderStatus.SENT:
                self._chores.want(("cancel", order.client_order_id), now_ns)
        self._go_on(now_ns)
        return BrokerPending(client_order_id=req.client_order_id)

    def amend(self, req: BrokerAmendReq, now_ns: int) -> BrokerReply:
        """Replace an open order (`binance_amendments.py`); its own update says what holds."""
        self._amendments.ask(
            req.client_order_id, req.qty_lots, req.limit_price_ticks, req.trigger_price_ticks
        )
        self._go_on(now_ns)
        return BrokerPending(client_order_id=req.client_order_id)

    # --- what the shell brings ---

    def answered(self, request_id: int, answer: Outcome, now_ns: int) -> None:
        """Take what came back for a request."""
        self._outbox.answered(request_id, answer, now_ns)
        self._go_on(now_ns)

    def stream_opened(self, now_ns: int) -> None:
        """Take note that the user stream is open and subscribed."""
        self._stream.opened(now_ns)
        self._go_on(now_ns)

    def stream_said(self, event: bytes, now_ns: int) -> None:
        """Take one event of the user stream, bare or in its envelope."""
        self._stream.heard(now_ns)
        try:
            self._hear(event, now_ns)
        except Unreadable as error:
            self._notice("the user stream told something that can not be", str(error))
            self._round_due_ns = min(self._round_due_ns, now_ns)
        self._go_on(now_ns)

    def stream_closed(self, detail: str, now_ns: int) -> None:
        """Take note that the user stream is gone."""
        if self._options.stream is StreamKind.SIGNATURE and not self._stream.is_open:
            # It was refused, perhaps for its key. If so, REST says it in words that are final.
            self._chores.ensure(("account",), now_ns)
        self._stream.closed(detail, now_ns)
        self._go_on(now_ns)

    def wake(self, now_ns: int) -> None:
        """Do what is due; wanted at `next_wake_ns`."""
        self._go_on(now_ns)

    def take_asks(self) -> list[Ask]:
        """Return the requests to be sent now, in order."""
        return self._outbox.take()

    def take_words(self) -> list[Word]:
        """Return what the host is to hear, in order."""
        words = self._words[:]
        self._words.clear()
        return words

    # --- what can be seen ---

    @property
    def wants_stream(self) -> StreamWish:
        """Which user stream should be open."""
        return self._stream.wish

    @property
    def clock_offset_ns(self) -> int:
        """The venue's clock less ours."""
        return self._clock.offset_ns

    @property
    def is_ready(self) -> bool:
        """Whether orders may be sent."""
        return self._health is not None and self._health.state is TradingState.ACTIVE

    @property
    def cursors(self) -> Mapping[str, str]:
        """The trade up to which all have been told, by symbol."""
        pairs = zip(self._instruments, self._books.cursors, strict=True)
        return {each.symbol: str(cursor.last_id) for each, cursor in pairs if cursor.last_id is not None}

    @property
    def account_uid(self) -> int:
        """The number of the account that must answer; 0 = it is not known yet."""
        return self._accounts.uid

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        """Return the orders of which nobody knows what became of them, oldest first."""
        return [
            UnknownOrder(
                client_order_id=self._amendments.name_of(order.client_order_id),
                symbol=order.req.symbol,
                since_ns=order.unknown_since_ns,
                asks_ns=self._chores.due_ns(("order", order.client_order_id)),
                absent_ns=order.may_arrive_until_ns,
                evidence=tuple(order.evidence),
            )
            for order in self._books.tracker.open.values()
            if order.status is OrderStatus.UNKNOWN
        ]

    # --- what answers mean beyond their question (binance_queries.Listener) ---

    def judged(self, verdict: Verdict, now_ns: int) -> None:
        """Take the meaning of any answer: for the key, the clock, the budget, and whether the venue is there."""
        meaning = verdict.meaning
        if meaning in (Meaning.UNKNOWN, Meaning.UNSENT):
            self._failing_since_ns = min(self._failing_since_ns, now_ns)
            self._chores.want(("time",), now_ns + NS_PER_S)
            return
        self._failing_since_ns = FOREVER_NS
        if meaning is Meaning.KEY and not self._key_refused:
            self._key_refused = verdict.evidence
            self._chores.clear()
            self._outbox.shut("the key was refused", now_ns)
            self._notice(
                "the venue refuses the key; nothing is sent any more", verdict.evidence, Severity.CRITICAL
            )
        elif meaning is Meaning.CLOCK:
            self._clock.refused()
            self._chores.want(("time",), now_ns)
            if verdict.is_behind:
                # Right again before it can be measured, it would show no step, and has left earlier times behind.
                self._forget_times(0, now_ns)
        elif meaning in (Meaning.SLOW_DOWN, Meaning.BANNED):
            self._outbox.budget.block(self._clock.venue_ns(now_ns) + verdict.retry_after_ns)
            if meaning is Meaning.BANNED:
                self._banned_until_ns = max(self._banned_until_ns, now_ns + verdict.retry_after_ns)
                self._notice("the venue has shut the address out", verdict.evidence, Severity.CRITICAL)

    def answered_question(self, key: Key, asked_ns: int, now_ns: int) -> None:
        """Take note that a question was answered."""
        if self._round is not None:
            self._round.answered(key, asked_ns)
        if key == ("account",):
            self._words += filter(None, [self._stranger.left(now_ns)])

    def listed(self, index: int, missing: list[Key], now_ns: int) -> None:
        """Ask about orders that no list showed."""
        for key in missing:
            self._chores.want(key, now_ns)
        if self._round is not None:
            self._round.need(missing)

    def clock_set(self, step_ns: int, now_ns: int) -> None:
        """Take note that the venue's clock was set: what is on its way may arrive that much later."""
        self._notice("the venue's clock was set, or ours", f"by {step_ns / 1e9:+.3f} s")
        # One step that is seen may be several; between them times may have been earlier.
        self._forget_times(max(0, -step_ns), now_ns)
        if step_ns < 0:
            for order in self._books.tracker.open.values():
                order.may_arrive_until_ns -= step_ns

    def rules_changed(self, changes: list[tuple[str, str]]) -> None:
        """Tell a person what the venue has changed."""
        for symbol, words in changes:
            title = "the venue has changed a symbol's rules"
            self._notice(title, f"{symbol}: {words}", labels=(("symbol", symbol),))

    def refused_snapshot(self, why: str, now_ns: int) -> None:
        """Remember why an account is not believed; the trades may show more of what is true."""
        self._account_refused = why
        if self._accounts.is_stranger:
            self._words += filter(None, [self._stranger.answered(why, now_ns)])
        for index in self._indexes():
            self._chores.ensure(("trades", str(index)), now_ns)

    # --- what goes on ---

    def _forget_times(self, back_ns: int, now_ns: int) -> None:
        self._accounts.forget_time()
        self._books.clock_set(back_ns, now_ns)

    def _hear(self, event: bytes, now_ns: int) -> None:
        envelope = read(event, Envelope)
        for inner in (bytes(envelope.event), bytes(envelope.data)):
            if inner:
                event, envelope = inner, read(inner, Envelope)
        if envelope.type == "executionReport":
            self._books.report(read(event, WireReport), now_ns)
        elif envelope.type == "balanceUpdate":
            self._round_due_ns = min(self._round_due_ns, now_ns)
        elif envelope.type in _STREAM_ENDS:
            self._queries.listen_key = ""
            self._stream.closed(f"the venue has ended it ({envelope.type})", now_ns)

    # What the books say of an order that was amended means something else for the host.
    def _hear_books(self, word: Word) -> None:
        self._amendments.hear(word)

    # Everything that comes in ends here: what is due is asked, what may leave leaves, and the state is told.
    def _go_on(self, now_ns: int) -> None:
        if not self._is_started:
            return
        if not self._key_refused:
            self._keep_going(now_ns)
            self._amendments.go_on(now_ns)
            self._queries.ask_due(now_ns)
        self._outbox.flush(now_ns)
        self._amendments.go_on(now_ns)
        self._end_round(now_ns)
        self._tell_health(now_ns)
        self.next_wake_ns = self._next_wake(now_ns)

    def _keep_going(self, now_ns: int) -> None:
        missing = self._stream.check(now_ns)
        if missing:
            self._notice("the user stream left something out; it was read by a question", missing)
        self._chores.ensure(("time",), now_ns)
        if self._clock.trouble():
            return
        self._chores.ensure(("rules",), now_ns)
        self._keep_stream(now_ns)
        if self._round is not None and self._cause(now_ns):
            self._round = None
        if self._round is None and not self._cause(now_ns):
            if not self._is_reconciled or now_ns >= self._round_due_ns:
                self._begin_round(now_ns)
            elif now_ns >= self._look_due_ns:
                self._look(now_ns)

    def _keep_stream(self, now_ns: int) -> None:
        if self._options.stream is StreamKind.NONE or not self._stream.wants_opening(now_ns):
            return
        if self._options.stream is StreamKind.LISTEN_KEY and not self._queries.listen_key:
            self._chores.ensure(("listen_key",), now_ns)
            return
        self._stream.open(self._queries.listen_key, now_ns)

    # --- reconciliation ---

    def _begin_round(self, now_ns: int) -> None:
        keys: list[Key] = [("account",), *(("open", str(index)) for index in self._indexes())]
        self._round = Round(now_ns, self._books.activity, {})
        self._round.need(keys)
        self._round_due_ns = self._look_due_ns = FOREVER_NS
        for key in keys:
            self._chores.want(key, now_ns)

    def _end_round(self, now_ns: int) -> None:
        current = self._round
        if current is None or current.pending:
            return
        tracker = self._books.tracker
        if not current.is_second_half:
            current.is_second_half = True
            keys: list[Key] = [("trades", str(index)) for index in self._indexes()]
            keys += [("order", each.client_order_id) for each in tracker.open.values()
                     if each.status is OrderStatus.UNKNOWN]  # fmt: skip
            current.need(keys)
        else:
            lacking = [
                ("order_trades", each.client_order_id) for each in tracker.open.values() if each.lacks_trades
            ]
            keys = [("trades", str(index)) for index in self._indexes()] if self._books.has_held else []
            keys += lacking
            current.need(keys)
        for key in current.pending:
            self._chores.want(key, now_ns)
        if current.pending:
            self._queries.ask_due(now_ns)
            self._outbox.flush(now_ns)
            return
        self._finish_round(current, now_ns)

    def _finish_round(self, current: Round, now_ns: int) -> None:
        self._round = None
        self._is_reconciled = True
        self._account_refused = ""
        tracker, options = self._books.tracker, self._options
        unsettled = (OrderStatus.SENT, OrderStatus.UNKNOWN)
        is_quiet = current.activity == self._books.activity and not any(
            each.status in unsettled or each.end is not None for each in tracker.open.values()
        )
        if self._accounts.settle(self._books.activity, is_quiet):
            self._words.append(Balances(balances=self._accounts.balances))
            self._round_due_ns = now_ns + options.poll_idle_ns
        else:
            self._round_due_ns = now_ns + min(options.poll_open_ns, options.poll_idle_ns)
        self._look_due_ns = now_ns + options.poll_open_ns

    # While orders are open, orders and trades are looked at more often than the account.
    def _look(self, now_ns: int) -> None:
        self._look_due_ns = now_ns + self._options.poll_open_ns
        for index in self._indexes():
            if any(True for _ in self._books.tracker.of(index)):
                self._chores.want(("open", str(index)), now_ns)
                self._chores.want(("trades", str(index)), now_ns)

    def _indexes(self) -> range:
        return range(len(self._instruments))

    # --- health ---

    def _trouble(self, now_ns: int) -> str:
        cause = self._cause(now_ns)
        if not cause and self._is_reconciled:
            return "" if self._accounts.can_trade else "account: the venue does not let it trade"
        if not cause:
            refused = self._account_refused
            cause = f"the account is not believed: {refused}" if refused else _RECONCILING
        is_let = now_ns >= self._banned_until_ns
        return f"{cause}; {self._outbox.shortage}" if is_let and self._outbox.shortage else cause

    # Why an order must not be sent now, and a line for a person; NONE = it may.
    def _refusal(self, req: BrokerOrderReq, now_ns: int) -> tuple[OrderReason, str]:
        trouble = self._trouble(now_ns) if self._is_started else "it was not started"
        if trouble:
            return OrderReason.VENUE_NOT_READY, trouble
        reason = self.rules.refuses(req)
        if reason is not None:
            return reason, "it does not fit the rules in force"
        if self._books.tracker.get(req.client_order_id) is not None:
            return OrderReason.DUPLICATE_ID, "it was placed before"
        if self._outbox.place_wait_ns(now_ns) > self._options.place_wait_ns:
            return OrderReason.RATE_LIMITED, "the venue's budget is used up"
        return OrderReason.NONE, ""

    # What must be over before a reconciliation can begin.
    def _cause(self, now_ns: int) -> str:
        if self._key_refused:
            return f"key: {self._key_refused}"
        if now_ns < self._banned_until_ns:
            return "ban: the venue has shut the address out for a while"
        if now_ns - self._failing_since_ns >= self._options.unreachable_ns:
            return "venue: it is not reachable"
        clock = self._clock.trouble()
        if clock:
            return clock
        if not self.rules.states:
            return "rules: the symbols' rules were not read yet"
        if self._options.stream is not StreamKind.NONE and not self._stream.is_open:
            return f"stream: {self._stream.trouble}"
        return ""

    def _tell_health(self, now_ns: int) -> None:
        if self._cause(now_ns):
            self._is_reconciled = False
        trouble = self._trouble(now_ns)
        health = Health(state=TradingState.HALTED if trouble else TradingState.ACTIVE, reason=trouble)
        if health != self._health:
            self._health = health
            self._words.append(health)

    def _next_wake(self, now_ns: int) -> int:
        if self._key_refused:
            return self._outbox.next_ns
        unreachable_ns = self._failing_since_ns + self._options.unreachable_ns
        times = [self._chores.next_ns, self._outbox.next_ns]
        others = (unreachable_ns, self._banned_until_ns, self._stream.next_ns)
        times += [each for each in others if now_ns < each < FOREVER_NS]
        if self._is_reconciled and self._round is None:
            times += [self._round_due_ns, self._look_due_ns]
        return max(min(times), now_ns + 1)

    def _notice(
        self,
        title: str,
        message: str,
        severity: Severity = Severity.WARNING,
        labels: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._words.append(Notice(severity=severity, title=title, message=message, labels=labels))
