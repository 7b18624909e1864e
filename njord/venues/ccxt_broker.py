"""How do a live broker's requests and its user stream go through CCXT Pro, without its judgment?

CCXT knows the venue's paths, signs, dials, subscribes and pings. Its parsing into floats, its caches, its error
classes, its retries and its tag on orders are not used: the core reads the bodies and frames as they came, and stamps
what is signed. Each connection of the stream is a CCXT object of its own, so that nothing of a broken one is left.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp import WSMsgType

from njord.core.errors import ConfigError, InvariantError
from njord.venues.binance_options import StreamKind, StreamWish
from njord.venues.broker_wire import Ask
from njord.venues.ccxt_broker_door import NOTE, Addresses, Door
from njord.venues.ccxt_broker_words import reason
from njord.venues.ccxt_feed import to_its_end

CCXT_MIN = (4, 5, 90)  # Older ones stall for good after a burst of frames with the aiohttp that they allow.

# Method and path at the venue -> CCXT's implicit method, for signed requests and for others.
_SIGNED = {
    ("POST", "order"): "privatePostOrder",
    ("POST", "order/test"): "privatePostOrderTest",
    ("POST", "order/cancelReplace"): "privatePostOrderCancelReplace",
    ("DELETE", "order"): "privateDeleteOrder",
    ("GET", "order"): "privateGetOrder",
    ("DELETE", "openOrders"): "privateDeleteOpenOrders",
    ("GET", "openOrders"): "privateGetOpenOrders",
    ("GET", "allOrders"): "privateGetAllOrders",
    ("GET", "account"): "privateGetAccount",
    ("GET", "myTrades"): "privateGetMyTrades",
}
_OPEN = {
    ("GET", "ping"): "publicGetPing",
    ("GET", "time"): "publicGetTime",
    ("GET", "exchangeInfo"): "publicGetExchangeInfo",
    ("POST", "userDataStream"): "publicPostUserDataStream",
    ("PUT", "userDataStream"): "publicPutUserDataStream",
    ("DELETE", "userDataStream"): "publicDeleteUserDataStream",
}
_ENDS_STREAM = frozenset({"eventStreamTerminated", "listenKeyExpired", "serverShutdown"})
_EVENTS = "njord"
_FRAME_BYTES_MAX = 1 << 20
_GOODBYE_S = 1.0
_LOG = logging.Logger("njord.ccxt", logging.CRITICAL + 1)  # CCXT logs requests, key and signature included.


class Hidden(Protocol):
    """A text that shows itself to nobody who does not ask."""

    def reveal(self) -> str:
        """Return it."""


class Keys(Protocol):
    """An account's key and secret."""

    @property
    def api_key(self) -> Hidden:
        """What requests name."""

    @property
    def api_secret(self) -> Hidden:
        """What they are signed with."""


class StreamBroke(Exception):
    """A user stream has ended, or never began; `args[0]` says why, on one line."""


def load_ccxt() -> Any:
    """Return `ccxt.pro`; importing it takes seconds.

    Raises:
        ConfigError: It is older than the oldest that works.
    """
    ccxt: Any = import_module("ccxt.pro")
    check_version(ccxt.__version__)
    return ccxt


def check_version(version: str) -> None:
    """Refuse a CCXT that loses events.

    Raises:
        ConfigError: It is too old.
    """
    if tuple(int(number) for number in re.findall(r"[0-9]+", version)[:3]) < CCXT_MIN:
        floor = ".".join(map(str, CCXT_MIN))
        raise ConfigError(
            f"ccxt must be {floor} or newer, was {version}: older ones stall", "rm venv/.ready; make venv"
        )


class CcxtBroker:
    """Requests and user streams of one account; to be used in one event loop.

    Args:
        ccxt: See `load_ccxt`.
        keys: Of the account.
        addresses: Where the venue is.
        door: The way there.
        venue_ms: The venue's time now, for what is signed here.
    """

    def __init__(
        self, ccxt: Any, keys: Keys, addresses: Addresses, door: Door, venue_ms: Callable[[], int]
    ) -> None:
        self._ccxt = ccxt
        self._keys = keys
        self._addresses = addresses
        self._door = door
        self._venue_ms = venue_ms
        self._rest = self._exchange({"public": addresses.rest, "private": addresses.rest})

    async def close(self) -> None:
        """Let go of CCXT's object; the door is closed by whoever made it."""
        await self._rest.close()

    async def send(self, ask: Ask) -> None:
        """Send one request; what comes back is in the running task's `NOTE`.

        Raises:
            Exception: Any of CCXT's or aiohttp's; `reason` words it.
        """
        method = (_SIGNED if ask.is_signed else _OPEN).get((ask.method, ask.path))
        if method is None:
            raise InvariantError(f"no {ask.method} {ask.path} is ever sent")
        params = dict(ask.params)
        if ask.is_signed:
            params["recvWindow"] = str(ask.recv_window_ms)
            is_order = ask.method == "POST" and ask.path.partition("/")[0] == "order"
            if is_order and not params.get("newClientOrderId"):
                raise InvariantError("an order without an id of ours is never sent")
        await getattr(self._rest, method)(params)

    async def listen(
        self,
        wish: StreamWish,
        on_open: Callable[[], None],
        on_frame: Callable[[bytes], None],
        *,
        open_within_s: float,
        silent_after_s: float,
    ) -> str:
        """Connect once and hand on what comes, as it came; return why it ended.

        Args:
            wish: What is to be open.
            on_open: Called when events may come.
            on_frame: Called with each frame that holds one.
            open_within_s: Until a connection that does not come about is given up.
            silent_after_s: A socket on which nothing has come for so long, no pong either, is dead.
        """
        stream = _Stream(on_open, on_frame)
        exchange = self._exchange(
            {"ws": {"spot": self._addresses.stream, "ws-api": {"spot": self._addresses.ws_api}}}
        )
        exchange.streaming = {
            **exchange.streaming,
            "keepAlive": silent_after_s * 300,
            "maxPingPongMisses": 10**6,
        }
        dial = exchange.client
        exchange.client = lambda url: stream.tapped(dial(url))
        try:
            async with asyncio.timeout(open_within_s):
                url = await stream.unless_broken(self._dial(exchange, wish, stream))
            await stream.end(exchange.watch(url, _EVENTS, None, _EVENTS), silent_after_s)
        except StreamBroke as broke:
            return stream.why or str(broke)
        except TimeoutError:
            return "it did not open in time"
        except Exception as error:  # CCXT's own, and what aiohttp raises through it.
            return stream.why or reason(error)
        finally:
            await to_its_end(exchange.close())
        return "it ended"

    async def _dial(self, exchange: Any, wish: StreamWish, stream: "_Stream") -> str:
        if wish.kind is StreamKind.SIGNATURE:
            await exchange.ensure_user_data_stream_ws_subscribe_signature("spot")
            return self._addresses.ws_api
        url = f"{self._addresses.stream}/{wish.listen_key}"
        exchange.on_connected = lambda client, message=None: stream.opened()
        exchange.watch(url, _EVENTS, None, _EVENTS)
        await exchange.client(url).connected
        return url

    def _exchange(self, urls: dict[str, Any]) -> Any:
        exchange: Any = self._ccxt.binanceus(
            {
                "apiKey": self._keys.api_key.reveal(),
                "secret": self._keys.api_secret.reveal(),
                "session": self._door.session,
                "enableRateLimit": False,  # The core keeps the budget.
                "timeout": 3_600_000,  # Every ask has a deadline of its own.
                "aiohttp_trust_env": False,
            }
        )
        exchange.urls["api"] = urls  # All others name another company.
        exchange.ssl_context = self._door.tls
        exchange.timeout_on_exit = 0
        exchange.logger = _LOG
        exchange.nonce = self._timestamp
        # What it would add to an order, and how it would judge an answer.
        exchange.options["broker"] = {}
        exchange.handle_client_order_id = lambda params, *where: params
        exchange.handle_errors = exchange.handle_http_status_code = lambda *answer: None
        return exchange

    def _timestamp(self) -> int:
        note = NOTE.get()
        return self._venue_ms() if note is None else note.ts_ms


class _Frame(msgspec.Struct, frozen=True):
    e: str = ""
    event: msgspec.Raw = msgspec.Raw()
    id: str | int | None = None
    status: int = 200
    error: "_Error | None" = None
    result: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, frozen=True):
    e: str = ""


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    msg: str = ""


class _Stream:
    """One connection, looked at before CCXT does: a frame that CCXT can not read would end its reading for good."""

    def __init__(self, on_open: Callable[[], None], on_frame: Callable[[bytes], None]) -> None:
        self._on_open = on_open
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._heard_s = self._loop.time()
        self._is_open = False
        self.why = ""

    def tapped(self, client: Any) -> Any:
        """Return CCXT's connection so that every message comes here first, and nothing that it promises is missed."""
        if "handle_message" not in vars(client):
            passes, promises = client.handle_message, client.future
            client.handle_message = lambda message: self._heard(message, passes)
            client.future = lambda name: _heeded(promises(name))
            client.create_connection = lambda session: _dialed(session, client.url)
        return client

    def opened(self) -> None:
        """Say once that events may come."""
        if not self._is_open:
            self._is_open = True
            self._heard_s = self._loop.time()
            self._on_open()

    async def unless_broken(self, doing: Coroutine[Any, Any, str]) -> str:
        """Return what `doing` returns.

        Raises:
            StreamBroke: The connection ended first.
        """
        task = asyncio.ensure_future(doing)
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            either: set[asyncio.Future[Any]] = {_heeded(task), ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self.why:
                raise StreamBroke(self.why)
            return await task
        finally:
            ended.cancel()
            task.cancel()

    async def end(self, watching: "asyncio.Future[Any]", silent_after_s: float) -> None:
        """Return when the connection has ended.

        Raises:
            StreamBroke: Why.
        """
        ended: asyncio.Future[Any] = asyncio.ensure_future(self._ended.wait())
        try:
            while not self.why:
                done, _ = await asyncio.wait(
                    {ended, watching}, timeout=silent_after_s / 4, return_when=asyncio.FIRST_COMPLETED
                )
                if watching in done:
                    error = None if watching.cancelled() else watching.exception()
                    raise StreamBroke(reason(error) if error else "it ended")
                if self._loop.time() - self._heard_s > silent_after_s:
                    raise StreamBroke(f"it has been silent for {silent_after_s:g} s, pings included")
            raise StreamBroke(self.why)
        finally:
            ended.cancel()

    def _break(self, why: str) -> None:
        self.why = self.why or why
        self._ended.set()

    def _heard(self, message: Any, passes: Callable[[Any], None]) -> None:
        self._heard_s = self._loop.time()
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            if not self.why:
                self._read(message, passes)
        else:
            passes(message)

    def _read(self, message: Any, passes: Callable[[Any], None]) -> None:
        data = message.data
        frame = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
        try:
            found = msgspec.json.decode(frame, type=_Frame)
            kind = found.e or (msgspec.json.decode(found.event, type=_Event).e if bytes(found.event) else "")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._break("it said something that is no event")
            return
        if kind:
            self._on_frame(frame)
            if kind in _ENDS_STREAM:
                self._break(f"the venue has ended it ({kind})")
        elif found.error is not None or found.status != 200:
            error = found.error or _Error()
            said = "".join(letter if letter.isprintable() else "?" for letter in error.msg[:100])
            self._break(f"the subscription was refused: {found.status}, {error.code} {said}")
        elif found.id is not None:
            passes(message)
            if bytes(found.result) not in (b"", b"null", b"{}"):
                self.opened()


# As CCXT does it, but that a venue which does not answer our goodbye is not waited for as long.
def _dialed(session: aiohttp.ClientSession, url: str) -> Any:
    return session.ws_connect(
        url,
        autoping=False,
        autoclose=False,
        compress=15,
        max_msg_size=_FRAME_BYTES_MAX,
        timeout=aiohttp.ClientWSTimeout(ws_close=_GOODBYE_S),
    ).__aenter__()


# CCXT breaks promises that nobody waits for any more, which asyncio would complain of.
def _heeded(future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
