"""The local exchange on real sockets, and at it the live adapter behind its host: CCXT, threads, a user stream.

Time stands still but for what a card lets pass, for both sides: no poll, no deadline and no back-off comes by itself, so
that what is heard does not depend on how fast this machine is.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from random import Random
from typing import Any

from njord.apps.live_host import LiveHost
from njord.apps.live_memory import known_orders
from njord.apps.live_recorder import LiveRecorder
from njord.core.orders import TERMINAL
from njord.core.types import BUY, LIMIT, OrderStatus, TradingState
from njord.core.units import NS_PER_MS, NS_PER_S, ZERO
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.fault_plan import FaultPlan, spec_of
from njord.exchange.faults import Nemesis
from njord.exchange.server import Address, ServedThread, serve_in_thread
from njord.exchange.tls import throwaway
from njord.exchange.wire import Fate, Frame, Request, Response
from njord.execution.gateway import Gateway
from njord.venues.binance_core import BinanceBrokerCore
from njord.venues.binance_options import CoreOptions, StreamKind
from njord.venues.binanceus import ShellOptions
from njord.venues.broker_core import BrokerCore
from njord.venues.ccxt_broker_door import Way
from njord.venues.live_broker import LiveBroker, LiveOptions
from tests.contract.cards import ASKS, BIDS, LAST, Order, Setup, Where
from tests.contract.heard import ACCOUNT, Ear, cancel_event, order_event
from tests.contract.script_market import ScriptMarket
from tests.contract.stages import BEGIN_NS, PASS_NS, BaseStage, ScriptClock
from tests.integration.broker_world import KEY, SECRET, CanaryKeys, RecordingResolver

WITHIN_S = 30.0  # Of the real world: until what should be heard is missed.
_PATIENCE_S = 60  # Of the real world: the adapter's deadlines, which are not what cards are about.
# Time stands still, and so do the budgets.
_ROOMY = {"weight_per_minute": 1_000_000, "orders_per_10s": 10_000}
_MISSING_REPORTS = "A10"
_STEP_S = 0.5
_STEPS_MAX = 100
_WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class OnScriptTime:
    """An exchange whose time is a card's, whatever the server's clock says (`Served`)."""

    def __init__(self, served: Nemesis, clock: ScriptClock) -> None:
        self._served = served
        self._clock = clock

    def advance(self, now_ns: int) -> None:
        """Let everything happen until the card's time; likewise below."""
        self._served.advance(self._clock.now_ns())

    @property
    def next_ns(self) -> int:
        """When the server is to look again."""
        return time.time_ns() + 2 * NS_PER_MS  # A card may move at any moment.

    def fate(self, request: Request, now_ns: int) -> Fate:
        """Say what the way does."""
        return self._served.fate(request, self._clock.now_ns())

    def request(self, request: Request, now_ns: int) -> Response:
        """Answer."""
        return self._served.request(request, self._clock.now_ns())

    def opened(self, connection: int, path: str, query: str, address: str, now_ns: int) -> bool:
        """Take a connection."""
        return self._served.opened(connection, path, query, address, self._clock.now_ns())

    def said(self, connection: int, text: str, now_ns: int) -> None:
        """Hear one."""
        self._served.said(connection, text, self._clock.now_ns())

    def closed(self, connection: int, now_ns: int) -> None:
        """Forget one."""
        self._served.closed(connection, self._clock.now_ns())

    def frames(self) -> list[Frame]:
        """Return what is to be sent."""
        return self._served.frames()


class ExchangeStage(BaseStage):
    """One account, named in the canary keys of all tests; its opening balances are in the books before a card begins.

    Attributes:
        exchange: What is served.
        instrument: What is traded there.
        served: Its thread.
        resolver: Which hosts were asked for, where the venue's own addresses are used.
    """

    where = Where.EXCHANGE
    broker: LiveBroker

    def __init__(self, setup: Setup) -> None:
        super().__init__(BEGIN_NS, ZERO)
        now_ns = self.clock.now_ns()
        balances = {asset: Decimal(qty) for asset, qty in setup.balances.items()}
        account = AccountSpec(name=ACCOUNT, key=KEY, secret=SECRET, balances=balances)
        self.instrument = setup.instrument
        options = ExchangeOptions(**{**_ROOMY, **setup.options})
        self.tape.reset(now_ns, BIDS, ASKS, LAST)
        self.exchange = Exchange(ScriptMarket(self.instrument, self.tape, now_ns), [account], options, now_ns)
        self.nemesis = Nemesis(self.exchange, FaultPlan(), 1, now_ns, (ACCOUNT,), (KEY,))
        self.exchange.advance(now_ns)  # What is compiled is compiled now.
        self.stream = StreamKind(setup.stream)
        self._is_at_home = setup.own_addresses
        self._way: Way | None = None
        self._is_muted = False
        self.resolver = RecordingResolver(0)
        self.served: ServedThread
        self._spoken = threading.Event()

    @contextmanager
    def open(self) -> Iterator["ExchangeStage"]:
        """Serve it, and let a broker reconcile with it, until the end of the block."""
        context, pem = throwaway() if self._is_at_home else (None, "")
        with serve_in_thread(OnScriptTime(self.nemesis, self.clock), tls=context) as self.served:
            if self._is_at_home:
                self.resolver.port = self.served.address.port
                self._way = Way(resolver=self.resolver, tls=ssl.create_default_context(cadata=pem))
            try:
                self._connect((), {}, None)
                yield self
            finally:
                assert self.broker.stop()

    # --- the broker and its host ---

    def _connect(self, known: Any, cursors: Mapping[str, str], before: Ear | None) -> None:
        options = CoreOptions(
            stream=self.stream, orders_per_10s=10_000, request_timeout_ns=_PATIENCE_S * NS_PER_S
        )

        def make_core(known: Any, cursors: Mapping[str, str]) -> BrokerCore:
            return BinanceBrokerCore([self.instrument], options, known, cursors, jitter=Random(1))

        endpoint = None if self._is_at_home else self.served.address.rest
        shell = ShellOptions(endpoint=endpoint, stream_open_s=_PATIENCE_S, stream_silent_s=2 * _PATIENCE_S)
        self.broker = LiveBroker(
            make_core,
            CanaryKeys(),
            [self.instrument],
            self.clock,
            options=LiveOptions(shell=shell, place_within_s=_PATIENCE_S, query_within_s=_PATIENCE_S),
            way=self._way,
        )
        self._host = LiveHost(
            self.ear, self.ear.account, Gateway(self.broker, [self.instrument], ACCOUNT), [self.instrument], [100],
            ACCOUNT, LiveRecorder([self.instrument]), self.clock,
        )  # fmt: skip
        if before is not None:
            self._replay(before)
            known = known_orders(self._host, [self.instrument])
        self.broker.start(known, cursors, self._spoken.set)
        for _ in range(_STEPS_MAX):  # Some questions are repeated after a while.
            assert self._wait(self._is_idle)
            if self._is_ready():
                return
            self.passes(_STEP_S)
        raise AssertionError(self.broker.health)

    def _replay(self, before: Ear) -> None:
        self.ear.is_deaf = self._host.is_replaying = True
        for message in before.journal:
            self._host.tell(message)
        self.ear.is_deaf = self._host.is_replaying = False
        self._host.begin()

    def stop(self) -> None:
        """End the broker; its host forgets everything."""
        assert self.broker.stop()

    def start(self) -> None:
        """Go on from the journal, at the trade that was told last; on the way to ACTIVE no reason to wait is heard."""
        before, self.ear = self.ear, Ear(ZERO)
        self.ear.names = before.names
        self._connect((), self.broker.cursors, before)
        self.ear.lines = before.lines + [each for each in self.ear.lines if "connection: halted" not in each]

    # --- hearing ---

    def _wait(self, holds: Callable[[], object]) -> bool:
        end_s = time.monotonic() + WITHIN_S
        while True:
            self._spoken.clear()
            self._host.hear(self.broker.take_words())
            if holds():
                self._host.hear(self.broker.take_words())
                return True
            if time.monotonic() > end_s:
                return False
            self._spoken.wait(0.002)

    def _is_idle(self) -> bool:
        """Nothing is on its way: no request, no stream that opens, no report of what an answer has told already."""
        shell = self.broker._shell
        assert shell is not None

        def is_idle(core: BrokerCore, now_ns: int) -> bool:
            assert isinstance(core, BinanceBrokerCore)
            stream = core._stream
            is_dialing = shell._stream is not None and not shell._stream.done() and not stream.is_open
            is_behind = bool(stream._expected) and not self._is_muted
            return not (shell._tasks or is_dialing or is_behind)

        return shell.broken is not None or shell.call(is_idle, WITHIN_S)

    def _is_ready(self) -> bool:
        return self._is_active() and self._books_are_true()

    def _is_active(self) -> bool:
        return self.broker.health.state is TradingState.ACTIVE

    def _books_are_true(self) -> bool:
        wallet, account = self.exchange.trading.accounts[ACCOUNT].wallet, self.ear.account

        def held(asset: str) -> Decimal:
            return wallet.free(asset) + wallet.locked(asset)

        truth = self.served.call(lambda: (held("BTC"), held("USDT")))
        return (account.position(0).qty, account.cash) == truth

    def _hear_until(self, n_lines: int) -> None:
        if len(self.ear.lines) < n_lines:
            self._wait(lambda: len(self.ear.lines) >= n_lines)

    def _settle(self) -> None:
        if self._is_active():
            self._flush()
            orders = self._host.words.orders
            for name in [name for name, order in orders.items() if order.status in _WORKING]:
                self._end_unheard(name)
        self._wait(self._is_idle)
        if not self._wait(self._books_are_true):
            self.ear.lines.append("the books are not the venue's")

    # An order of no interest: when its end was heard, all that the stream had said before was heard too.
    def _flush(self) -> None:
        self._n_orders += 1
        name = f"NJ-{self._n_orders:020d}"
        self.ear.ignored.add(name)
        sentinel = Order(name="sentinel", side=BUY, qty="1", type=LIMIT, price="50")
        self._tell(order_event(sentinel, name, self.clock.pass_ns(PASS_NS)))
        assert self._wait(lambda: self._status(name) is not OrderStatus.SENT)
        if self._status(name) is OrderStatus.ACCEPTED:
            self._end_unheard(name)

    def _end_unheard(self, name: str) -> None:
        self.ear.ignored.add(name)
        self._tell(cancel_event(name, self.clock.pass_ns(PASS_NS)))
        assert self._wait(lambda: self._status(name) in TERMINAL)

    def _status(self, name: str) -> OrderStatus:
        return self._host.words.orders[name].status

    # --- steps ---

    def _tell(self, message: Any) -> None:
        self._host.tell(message)

    def _move(self, change: Callable[[int], None]) -> None:
        def do() -> None:
            change(self.clock.now_ns())
            self.nemesis.advance(self.clock.now_ns())

        self.served.call(do)

    def deed(self, deed: Mapping[str, Any]) -> None:
        """Let the world do something; `$name` in it is the id of that order, `$KEY` the account's key."""
        meant = {"$KEY": KEY, **{f"${name}": client_id for name, client_id in self._ids.items()}}
        given = {key: meant.get(value, value) for key, value in deed.items()}
        self.served.call(lambda: self.exchange.operator.do(given))

    def fault(self, fault: str, params: Mapping[str, Any]) -> None:
        """Begin a fault."""
        self._is_muted |= fault == _MISSING_REPORTS
        self.served.call(lambda: self.nemesis.add(spec_of({"fault": fault, **params}, "a card")))

    def no_faults(self) -> None:
        """End all faults."""
        self._is_muted = False
        self.served.call(self.nemesis.clear)

    def passes(self, seconds: float) -> None:
        """Let time pass in small steps; nothing is under way while it does."""
        end_ns = self.clock.now_ns() + round(seconds * NS_PER_S)
        while self.clock.now_ns() < end_ns:
            assert self._wait(self._is_idle)
            self.clock.pass_ns(min(round(_STEP_S * NS_PER_S), end_ns - self.clock.now_ns()))
            shell = self.broker._shell
            assert shell is not None
            shell.call(lambda core, now_ns: core.wake(now_ns), WITHIN_S)
        assert self._wait(self._is_idle)

    # --- beside the broker ---

    def until_true(self) -> None:
        """Wait until our books are the venue's."""
        assert self._wait(self._books_are_true)

    def status(self, name: str) -> str:
        """Return what our books say of an order."""
        return f"{name} is {self._status(self._ids[name]).value}"

    def truth(self) -> Mapping[str, Any]:
        """Return the account's page of the truth ledger."""
        page: Mapping[str, Any] = self.served.call(self.exchange.truth)["accounts"][ACCOUNT]
        return page

    def n_streams(self) -> int:
        """Return how many connections hear the account."""
        return self.served.call(lambda: len(self.exchange._users._subscriptions))

    def next_id(self) -> str:
        """Return the id that the next order will have."""
        return f"NJ-{self._n_orders + 1:020d}"

    def ccxt_urls(self) -> Mapping[str, Any]:
        """Return the addresses that CCXT has for the venue."""
        urls: Mapping[str, Any] = import_module("ccxt.pro").binanceus().urls["api"]
        return urls

    def requests(self, method: str, path: str) -> list[int]:
        """Return how the account's requests of a kind were answered, by their codes; 0 = done."""
        return [
            each["code"]
            for each in self.truth()["requests"]
            if (each["method"], each["path"]) == (method, f"/api/v3/{path}")
        ]

    def until_arrived(self, method: str, path: str) -> list[str]:
        """Wait until a request was answered at the venue, whatever is heard of it."""
        end_s = time.monotonic() + WITHIN_S
        while not self.requests(method, path):
            assert time.monotonic() < end_s
            time.sleep(0.002)
        return []

    def with_ccxt(self, talk: Callable[[Any], Awaitable[list[str]]], **settings: Any) -> list[str]:
        """Talk to the exchange with the unmodified `ccxt.pro.binanceus`, with the account's key."""
        pro = import_module("ccxt.pro")

        async def whole() -> list[str]:
            client = pro.binanceus({"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, **settings})
            point_at(client, self.served.address)
            client.milliseconds = lambda: self.clock.now_ns() // NS_PER_MS
            try:
                await client.load_markets()
                return await asyncio.wait_for(talk(client), WITHIN_S)
            finally:
                await client.close()

        return asyncio.run(whole())


def point_at(client: Any, address: Address) -> None:
    """Point a client at a local exchange, and nowhere else."""
    api = client.urls["api"]
    for name, url in list(api.items()):
        if isinstance(url, str):
            api[name] = f"{address.rest}/nowhere"
    api["public"] = api["private"] = api["v3"] = f"{address.rest}/api/v3"
    api["ws"] = {"spot": f"{address.ws}/stream/ws", "ws-api": {"spot": f"{address.ws}/ws-api/v3"}}
    client.timeout_on_exit = 0
