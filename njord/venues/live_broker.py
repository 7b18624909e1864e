"""The live venue as the host sees it: orders in, words out, and never a wait on the internet in between.

`place` answers with Pending or a refusal at once; all that comes of it is a word. A cancel is handed on even if the
broker's thread is busy. Words wait here until the host takes them, and a call wakes it; nothing of them is dropped. What
the gate has approved passes one more door, `admits`: live locks that are open, and the first orders' cap. Queries go
past the core, wait for a fresh answer of the venue, and raise where there is none.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from njord.core.clock import Clock
from njord.core.contracts import (
    BalanceSnapshot,
    BrokerAmendReq,
    BrokerCancelReq,
    BrokerFill,
    BrokerOrderReq,
    BrokerOrderUpdate,
    BrokerPending,
    BrokerReject,
    BrokerReply,
    BrokerUnknown,
)
from njord.core.errors import InvariantError, VenueUnavailable
from njord.core.instrument import Instrument
from njord.core.types import OrderReason, Severity, TradingState
from njord.venues.binanceus import CcxtShell, ShellOptions
from njord.venues.broker_core import BrokerCore
from njord.venues.broker_wire import Health, KnownOrder, Notice, UnknownOrder, Word
from njord.venues.ccxt_broker import Keys
from njord.venues.ccxt_broker_door import Way
from njord.venues.ccxt_broker_words import reason
from njord.venues.live_queries import LiveQueries

MakeCore = Callable[[Sequence[KnownOrder], Mapping[str, str]], BrokerCore]
Admits = Callable[[BrokerOrderReq], str]

_CONNECTING = Health(state=TradingState.HALTED, reason="the venue has not been asked yet")


class LiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a live broker behaves.

    Attributes:
        shell: How it is connected; `reads_only` sends nothing that changes an order.
        place_within_s: How long the host waits until the broker's thread has taken an order.
        query_within_s: How long a query waits for the venue.
    """

    shell: ShellOptions = ShellOptions()
    place_within_s: float = 1.0
    query_within_s: float = 10.0


class LiveBroker:
    """A live venue's order side (`IBroker`), and its voice (`apps/live_node.py`: `LiveSide`).

    Args:
        make_core: Makes what decides, of the orders that are known and the last trade of each symbol.
        keys: Of the account; see `adapters/secrets.py`.
        instruments: All instruments of the run.
        clock: The host's.
        admits: Asked before each order: why it must not leave, empty if it may; refused as LIVE_LOCK.
        options: How it behaves.
        way: How names and certificates are checked.

    Attributes:
        health: What the connection allows, as the broker said last.
    """

    def __init__(
        self,
        make_core: MakeCore,
        keys: Keys,
        instruments: Sequence[Instrument],
        clock: Clock,
        admits: Admits = lambda req: "",
        options: LiveOptions | None = None,
        way: Way | None = None,
    ) -> None:
        self._make_core = make_core
        self._keys = keys
        self._instruments = tuple(instruments)
        self._clock = clock
        self._admits = admits
        self._options = options or LiveOptions()
        self._way = way
        self._shell: CcxtShell | None = None
        self._queries = LiveQueries(self._running, self._instruments, clock, self._options.query_within_s)
        self._lock = threading.Lock()
        self._words: list[Word] = []
        self._on_words: Callable[[], None] = lambda: None
        self.health = _CONNECTING

    # --- the host's side: a voice ---

    def start(
        self, known: Sequence[KnownOrder], cursors: Mapping[str, str], on_words: Callable[[], None]
    ) -> None:
        """Connect and reconcile; the first start loads CCXT, which takes seconds.

        Args:
            known: What the journal says of every order.
            cursors: The last trade told, by symbol.
            on_words: Called from any thread whenever there is something to take.

        Raises:
            ConfigError: CCXT is too old.
        """
        if self._shell is not None:
            raise InvariantError("a broker is started once")
        self._on_words = on_words
        core = self._make_core(known, cursors)
        shell = CcxtShell(
            core, self._keys, self._clock, self._hear, self._broke, self._options.shell, self._way
        )
        self._shell = shell
        shell.start()

    def stop(self, within_s: float = 5.0) -> bool:
        """Let go of the venue, orders as they are; return whether everything was closed in time. May be called again."""
        return self._shell is None or self._shell.stop(within_s)

    def take_words(self) -> list[Word]:
        """Return what the broker has said since the last call, in order."""
        with self._lock:
            words, self._words = self._words, []
        return words

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        """Return the orders whose outcome nobody knows; never waits."""
        return () if self._shell is None else self._shell.unknown

    @property
    def cursors(self) -> Mapping[str, str]:
        """The id of the last trade told, by symbol, as of the last words."""
        return {} if self._shell is None else self._shell.cursors

    @property
    def account_uid(self) -> int:
        """The venue's number for the account that must answer, as of the last words; 0 = not known yet."""
        return 0 if self._shell is None else self._shell.account_uid

    # --- the gateway's side ---

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        """Hand the core an order; what the venue says of it comes as words."""
        if why := self._admits(req):
            return self._reject(req, OrderReason.LIVE_LOCK, why)
        try:
            return self._running().call(
                lambda core, now_ns: core.place(req, now_ns), self._options.place_within_s
            )
        except VenueUnavailable as error:
            return self._reject(req, OrderReason.VENUE_NOT_READY, str(error))
        except InvariantError as error:
            return BrokerUnknown(
                client_order_id=req.client_order_id, detail=str(error), ts_venue_ns=self._clock.now_ns()
            )

    def cancel(self, req: BrokerCancelReq) -> BrokerReply:
        """Hand the core a cancel; the order's own update says what came of it."""
        return self._handed(req.client_order_id, lambda core, now_ns: core.cancel(req, now_ns))

    def amend(self, req: BrokerAmendReq) -> BrokerReply:
        """Hand the core an amendment; the order's own update says what came of it."""
        return self._handed(req.client_order_id, lambda core, now_ns: core.amend(req, now_ns))

    def fetch_order(self, symbol: str, client_order_id: str) -> BrokerOrderUpdate | None:
        """Return one order as the venue knows it now; see `IBroker`."""
        return self._queries.order(symbol, client_order_id)

    def fetch_trades(self, symbol: str, after_trade_id: str) -> Sequence[BrokerFill]:
        """Return the account's fills of a symbol after a trade id; see `IBroker`."""
        return self._queries.trades(symbol, after_trade_id)

    def fetch_open_orders(self, symbol: str | None) -> Sequence[BrokerOrderUpdate]:
        """Return all working orders; see `IBroker`."""
        return self._queries.open_orders(symbol)

    def fetch_balances(self) -> Sequence[BalanceSnapshot]:
        """Return what the account holds now; an answer of another account than the one known is refused."""
        return self._queries.balances(self.account_uid)

    def server_time(self) -> int:
        """Return the venue's clock, asked now."""
        return self._queries.server_time()

    def exchange_rules(self) -> Sequence[Instrument]:
        """Return the instruments with the rules in force."""
        return self._queries.rules()

    # --- inside ---

    def _handed(self, client_order_id: str, do: Callable[[BrokerCore, int], object]) -> BrokerReply:
        if self._shell is None or not self._shell.submit(do):
            return BrokerReject(
                client_order_id=client_order_id,
                reason=OrderReason.VENUE_NOT_READY,
                detail="the broker is not running",
                ts_venue_ns=self._clock.now_ns(),
            )
        return BrokerPending(client_order_id=client_order_id)

    def _running(self) -> CcxtShell:
        if self._shell is None:
            raise VenueUnavailable("the broker is not started")
        return self._shell

    def _reject(self, req: BrokerOrderReq, why: OrderReason, detail: str) -> BrokerReject:
        return BrokerReject(
            client_order_id=req.client_order_id,
            reason=why,
            detail=detail,
            ts_venue_ns=self._clock.now_ns(),
        )

    # In the shell's thread, as what follows.
    def _hear(self, words: list[Word]) -> None:
        for word in words:
            if isinstance(word, Health):
                self.health = word
        with self._lock:
            self._words += words
        with suppress(RuntimeError):  # The host's loop has ended; it hears nothing any more.
            self._on_words()

    def _broke(self, error: BaseException) -> None:
        why = f"the broker broke: {reason(error)}"
        title = "the connection to the venue broke; restart the session"
        self._hear(
            [
                Health(state=TradingState.HALTED, reason=why),
                Notice(severity=Severity.CRITICAL, title=title, message=why),
            ]
        )
