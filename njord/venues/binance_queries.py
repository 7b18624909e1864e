"""What is asked of the venue, and what becomes of each answer? Every question by name: its request, and its reading.

An answer that can not be read, or is no answer of now for this account, settles nothing: the question is asked again,
later each time. Only what could be read is handed on.
"""

from collections.abc import Callable
from typing import Protocol

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.venues.binance_books import Books
from njord.venues.binance_chores import Chores, Key
from njord.venues.binance_clock import VenueClock
from njord.venues.binance_dialect import (
    TRADES_PAGE,
    Params,
    Unreadable,
    WireAccount,
    WireListenKey,
    WireOrder,
    WireTime,
    WireTrade,
    balances,
    ms_to_ns,
    read,
)
from njord.venues.binance_errors import Meaning, Verdict, judge
from njord.venues.binance_options import CoreOptions
from njord.venues.binance_outbox import Errand, Outbox, Outcome
from njord.venues.binance_rounds import Accounts
from njord.venues.binance_rules import Rules
from njord.venues.broker_wire import Answer, Lane

_UNKNOWN_MAX_NS = 5 * NS_PER_S  # An order of unknown outcome is asked for at least so often.
_CLOCK_AGAIN_NS = 200 * NS_PER_MS


class Listener(Protocol):
    """Who is told what answers mean beyond their question."""

    def judged(self, verdict: Verdict, now_ns: int) -> None:
        """Take the meaning of any answer."""

    def answered_question(self, key: Key, asked_ns: int, now_ns: int) -> None:
        """Take note that a question was answered, and could be read."""

    def listed(self, index: int, missing: list[Key], now_ns: int) -> None:
        """Take what must be asked because no list showed it."""

    def clock_set(self, step_ns: int, now_ns: int) -> None:
        """Take note that the venue's clock was set."""

    def rules_changed(self, changes: list[tuple[str, str]]) -> None:
        """Take what has changed in the symbols' rules."""

    def refused_snapshot(self, why: str, now_ns: int) -> None:
        """Take why an account was not believed."""


class Queries:
    """Asks the questions that are due.

    Args:
        options: How often.
        outbox: What carries them.
        chores: What is due.
        books: Orders and trades.
        clock: The venue's.
        rules: Of the symbols.
        accounts: What was said of the account.
        listener: Told what else follows.
    """

    def __init__(
        self,
        options: CoreOptions,
        outbox: Outbox,
        chores: Chores,
        books: Books,
        clock: VenueClock,
        rules: Rules,
        accounts: Accounts,
        listener: Listener,
    ) -> None:
        self._options = options
        self._outbox = outbox
        self._chores = chores
        self._books = books
        self._clock = clock
        self._rules = rules
        self._accounts = accounts
        self._listener = listener
        self.listen_key = ""
        self._ask: dict[str, Callable[[Key, int], None]] = {
            "time": self._ask_time,
            "rules": self._ask_rules,
            "listen_key": self._ask_listen_key,
            "renew": self._ask_renewal,
            "account": self._ask_account,
            "open": self._ask_open,
            "trades": self._ask_trades,
            "order": self._ask_order,
            "order_trades": self._ask_order_trades,
            "whose": self._ask_whose,
            "cancel": self._ask_cancel,
        }

    def ask_due(self, now_ns: int) -> None:
        """Let the questions leave that are due."""
        for key in self._chores.take_due(now_ns):
            self._ask[key[0]](key, now_ns)

    def _query(
        self,
        key: Key,
        path: str,
        params: Params,
        weight: int,
        take: Callable[[bytes, int, int], None],
        *,
        method: str = "GET",
        is_signed: bool = True,
        lane: Lane = Lane.QUERY,
        otherwise: Callable[[Verdict, int, int], bool] | None = None,
    ) -> None:
        def on_answer(outcome: Outcome, asked_ns: int, now_ns: int) -> None:
            verdict = judge(outcome)
            try:
                if verdict.meaning is Meaning.DONE and isinstance(outcome, Answer):
                    take(outcome.body, asked_ns, now_ns)
                    is_settled = True
                else:
                    is_settled = otherwise is not None and otherwise(verdict, asked_ns, now_ns)
            except Unreadable as error:
                verdict = Verdict(meaning=Meaning.UNKNOWN, evidence=str(error))
                is_settled = False
            self._listener.judged(verdict, now_ns)
            if is_settled:
                self._chores.done(key)
                self._listener.answered_question(key, asked_ns, now_ns)
            else:
                self._unsettled(key, verdict, now_ns)

        self._outbox.put(
            Errand(
                lane=lane, method=method, path=path, params=params, weight=weight,
                on_answer=on_answer, is_signed=is_signed,
            )
        )  # fmt: skip

    def _unsettled(self, key: Key, verdict: Verdict, now_ns: int) -> None:
        order = self._books.tracker.open.get(key[1]) if key[0] in ("order", "cancel") else None
        if order is not None:
            order.note(verdict.evidence)
        if key[0] == "cancel":
            # Whatever a refused cancel means, the order's own state says; unless that ends it, it is repeated.
            self._books.activity += 1
            self._chores.want(("order", key[1]), now_ns)
        self._chores.failed(
            key, now_ns, _UNKNOWN_MAX_NS if order is not None else self._options.backoff_max_ns
        )

    # --- the venue ---

    def _ask_time(self, key: Key, now_ns: int) -> None:
        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            server_ns = ms_to_ns(read(body, WireTime).server_time)
            step_ns = self._clock.measured(asked_ns, now_ns, server_ns)
            again_ns = _CLOCK_AGAIN_NS if self._clock.needs_more else self._options.clock_every_ns
            self._chores.want(key, now_ns + again_ns)
            if step_ns:
                self._listener.clock_set(step_ns, now_ns)

        self._query(key, "time", (), 1, take, is_signed=False)

    def _ask_rules(self, key: Key, now_ns: int) -> None:
        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            changes = self._rules.follow(body)
            self._outbox.budget.adopt(self._rules.rate_limits)
            self._chores.want(key, now_ns + self._options.rules_every_ns)
            self._listener.rules_changed(changes)

        self._query(key, "exchangeInfo", (), 10, take, is_signed=False)

    def _ask_listen_key(self, key: Key, now_ns: int) -> None:
        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            self.listen_key = read(body, WireListenKey).listen_key
            self._chores.want(("renew",), now_ns + self._options.listen_key_renew_ns)

        self._query(key, "userDataStream", (), 1, take, method="POST", is_signed=False)

    def _ask_renewal(self, key: Key, now_ns: int) -> None:
        if not self.listen_key:
            self._chores.done(key)
            return

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            self._chores.want(key, now_ns + self._options.listen_key_renew_ns)

        def otherwise(verdict: Verdict, asked_ns: int, now_ns: int) -> bool:
            if verdict.meaning is not Meaning.NO_LISTEN_KEY:
                return False
            self.listen_key = ""
            return True

        params = (("listenKey", self.listen_key),)
        self._query(
            key, "userDataStream", params, 1, take, method="PUT", is_signed=False, otherwise=otherwise
        )

    # --- the account ---

    def _ask_account(self, key: Key, now_ns: int) -> None:
        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            account = read(body, WireAccount)
            venue_ms = self._clock.venue_ns(now_ns) // NS_PER_MS
            traded_ms = self._books.updated_ms
            why = self._accounts.take(
                account.uid, account.update_time, balances(account), account.can_trade, venue_ms, traded_ms
            )
            if why:
                if self._accounts.is_known:
                    self._listener.refused_snapshot(why, now_ns)
                raise Unreadable(f"the account is not believed: {why}")

        self._query(key, "account", (), 10, take)

    def _ask_open(self, key: Key, now_ns: int) -> None:
        index = int(key[1])
        reader = self._books.readers[index]

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            views = [reader.order(each) for each in read(body, list[WireOrder])]
            missing = self._books.listed(index, views, asked_ns, now_ns)
            self._listener.listed(index, missing, now_ns)

        self._query(key, "openOrders", (("symbol", reader.symbol),), 3, take)

    def _ask_trades(self, key: Key, now_ns: int) -> None:
        index = int(key[1])
        cursor, reader = self._books.cursors[index], self._books.readers[index]
        asked, params = cursor.ask(self._clock.offset_ns)

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            trades = [reader.trade(each) for each in read(body, list[WireTrade])]
            if self._books.page(index, asked, trades, now_ns):
                self._chores.want(key, now_ns)

        self._query(key, "myTrades", params, 10, take)

    def _ask_whose(self, key: Key, now_ns: int) -> None:
        index, order_id = int(key[1]), key[2]
        reader = self._books.readers[index]

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            view = reader.order(read(body, WireOrder))
            if view.order_id != order_id:
                raise Unreadable(f"asked for order {order_id}, got {view.order_id}")
            self._books.named(index, view, asked_ns, now_ns)

        def otherwise(verdict: Verdict, asked_ns: int, now_ns: int) -> bool:
            if verdict.meaning is not Meaning.ABSENT:
                return False
            self._books.disowned(index, order_id)
            return True

        params = (("symbol", reader.symbol), ("orderId", order_id))
        self._query(key, "order", params, 2, take, otherwise=otherwise)

    # --- orders of ours ---

    def _ask_order(self, key: Key, now_ns: int) -> None:
        order = self._books.tracker.get(key[1])
        if order is None or (order.has_ended and not order.is_intruder):
            self._chores.done(key)
            self._listener.answered_question(key, now_ns, now_ns)
            return
        reader = self._books.readers[order.req.instrument]

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            view = reader.named(read(body, WireOrder), order.client_order_id)
            order.note(f"asked: the venue says {view.status}")
            self._books.view(order, view, asked_ns, now_ns)

        # "No such order" is an answer, and a reason to ask again.
        def otherwise(verdict: Verdict, asked_ns: int, now_ns: int) -> bool:
            if verdict.meaning is Meaning.ABSENT:
                self._books.tracker.absent(order, f"asked: {verdict.evidence}", asked_ns, now_ns)
                if not order.has_ended:
                    self._listener.answered_question(key, asked_ns, now_ns)
                return order.has_ended
            if verdict.meaning is Meaning.ARCHIVED:
                self._books.tracker.archived(order, now_ns)
                return True
            return False

        params = (("symbol", reader.symbol), ("origClientOrderId", order.client_order_id))
        self._query(key, "order", params, 2, take, otherwise=otherwise)

    def _ask_order_trades(self, key: Key, now_ns: int) -> None:
        order = self._books.tracker.get(key[1])
        if order is None or not order.lacks_trades:
            self._chores.done(key)
            self._listener.answered_question(key, now_ns, now_ns)
            return
        reader = self._books.readers[order.req.instrument]

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            trades = [reader.trade(each) for each in read(body, list[WireTrade])]
            if any(each.order_id != order.order_id for each in trades):
                raise Unreadable(f"asked for trades of order {order.order_id}, got another one's")
            self._books.fills(order, sorted(trades, key=lambda each: each.trade_id), now_ns)
            if order.lacks_trades and len(trades) < TRADES_PAGE:
                raise Unreadable(f"{order.executed_lots - order.filled_lots} lots executed, and no trades")

        params = (("symbol", reader.symbol), ("orderId", order.order_id), ("limit", str(TRADES_PAGE)))
        self._query(key, "myTrades", params, 10, take)

    def _ask_cancel(self, key: Key, now_ns: int) -> None:
        order = self._books.tracker.open.get(key[1])
        if order is None or order.end is not None:
            self._chores.done(key)
            return
        reader = self._books.readers[order.req.instrument]

        def take(body: bytes, asked_ns: int, now_ns: int) -> None:
            view = reader.named(read(body, WireOrder), order.client_order_id)
            self._books.activity += 1
            self._books.view(order, view, asked_ns, now_ns)
            if order.end is None:
                raise Unreadable(f"{order.client_order_id} was canceled, and is {view.status}")

        self._books.activity += 1
        params = (("symbol", reader.symbol), ("origClientOrderId", order.client_order_id))
        self._query(key, "order", params, 1, take, method="DELETE", lane=Lane.CANCEL)
