"""The local exchange on sockets: HTTP and WebSocket in, what `Served` answers out, on the wall clock of this machine.

Values only are passed on: nothing here knows what a request means. One task lets the exchange's time pass; `Fate` is
carried out on the way of each request. Listens on the loopback address, and nowhere else.
"""

import asyncio
import errno
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from njord.adapters.clock import WallClock
from njord.core.clock import Clock
from njord.core.errors import ConfigError
from njord.core.units import NS_PER_MS, NS_PER_S
from njord.exchange.wire import BROKEN, JSON_HEADERS, Fate, Request, Response, Served

HOST = "127.0.0.1"
PORT = 9095
PING_S = 180.0
MAX_BODY_BYTES = 1 << 20
MAX_WAITING_FRAMES = 20_000  # A listener that is so far behind is shown out.
_HOLD_S = 600.0  # The longest that a lost answer is waited for.
_CLOSE_S = 1.0
_TRICKLES_PER_S = 20
_MIN_SLEEP_NS, _MAX_SLEEP_NS = NS_PER_MS, 50 * NS_PER_MS
T = TypeVar("T")


class Address(msgspec.Struct, frozen=True):
    """Where the exchange listens."""

    port: int
    is_tls: bool = False

    @property
    def rest(self) -> str:
        """The root of HTTP requests, such as http://127.0.0.1:9095."""
        return f"{'https' if self.is_tls else 'http'}://{HOST}:{self.port}"

    @property
    def ws(self) -> str:
        """The root of WebSocket connections, such as ws://127.0.0.1:9095."""
        return f"{'wss' if self.is_tls else 'ws'}://{HOST}:{self.port}"


class Host:
    """One exchange and those who talk to it.

    Args:
        served: The exchange, plain or wrapped in trouble.
        clock: Where its time comes from.
        failed: Is told what broke the passing of time.
    """

    def __init__(self, served: Served, clock: Clock, failed: Callable[[BaseException], None]) -> None:
        self._served = served
        self._clock = clock
        self._failed = failed
        self._now_ns = 0
        self._n_connections = 0
        self._outboxes: dict[int, asyncio.Queue[tuple[str | None, int]]] = {}
        self._on_the_way: set[asyncio.Task[Response]] = set()
        self._moved = asyncio.Event()

    # --- time ---

    async def run(self) -> None:
        """Let the exchange's time pass until canceled."""
        try:
            while True:
                self._moved.clear()
                now_ns = self._advance()
                self._post()
                wait_ns = min(max(self._served.next_ns - now_ns, _MIN_SLEEP_NS), _MAX_SLEEP_NS)
                with suppress(TimeoutError):  # `wait_for` would swallow a cancel that comes just then.
                    async with asyncio.timeout(wait_ns / NS_PER_S):
                        await self._moved.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failed(error)
            raise

    def _advance(self) -> int:
        self._served.advance(self._now())
        return self._now_ns

    # A clock that is set back stands still here.
    def _now(self) -> int:
        self._now_ns = max(self._now_ns, self._clock.now_ns())
        return self._now_ns

    # Hands frames to their connections; whoever spoke may have changed what happens next.
    def _post(self) -> None:
        for frame in self._served.frames():
            outbox = self._outboxes.get(frame.connection)
            if outbox is None:
                continue
            if outbox.qsize() >= MAX_WAITING_FRAMES:
                outbox.put_nowait((None, WSCloseCode.POLICY_VIOLATION))
                del self._outboxes[frame.connection]
            else:
                outbox.put_nowait((frame.text, frame.close_code))

    def _spoken(self) -> None:
        self._post()
        self._moved.set()

    # --- requests ---

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Serve whatever comes."""
        try:
            return await self._answered(http)
        except ConnectionError:  # Who asked has gone before the answer began.
            return _hang_up(http)

    async def _answered(self, http: web.Request) -> web.StreamResponse:
        if http.headers.get("Upgrade", "").lower() == "websocket":
            return await self._listen(http)
        path, _, query = http.raw_path.partition("?")
        request = Request(
            method=http.method,
            path=path,
            query=query,
            body=(await http.read()).decode("utf-8", "replace"),
            headers={name.lower(): value for name, value in http.headers.items()},
            address=http.remote or HOST,
        )
        fate = self._served.fate(request, self._now())
        # A request that is on its way arrives even if its caller gives up meanwhile.
        task = asyncio.ensure_future(self._arrive(request, fate))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)
        response = await asyncio.shield(task)
        if fate.loses_request or fate.loses_response:
            await asyncio.sleep(_HOLD_S)
            return _hang_up(http)
        return await _tell(http, response, fate)

    async def _arrive(self, request: Request, fate: Fate) -> Response:
        if fate.loses_request:
            return Response(status=504, body=b"")
        if fate.request_delay_ns:
            await asyncio.sleep(fate.request_delay_ns / NS_PER_S)
        response = self._served.request(request, self._advance())
        self._spoken()
        if fate.response_delay_ns:
            await asyncio.sleep(fate.response_delay_ns / NS_PER_S)
        return response

    def end(self) -> None:
        """Drop the requests that are on their way, and close all connections."""
        for task in self._on_the_way:
            task.cancel()
        for outbox in self._outboxes.values():
            outbox.put_nowait((None, WSCloseCode.GOING_AWAY))

    # --- connections ---

    async def _listen(self, http: web.Request) -> web.StreamResponse:
        self._n_connections += 1
        connection = self._n_connections
        path, _, query = http.raw_path.partition("?")
        if not self._served.opened(connection, path, query, http.remote or HOST, self._advance()):
            raise web.HTTPNotFound
        socket = web.WebSocketResponse(heartbeat=PING_S, timeout=_CLOSE_S, max_msg_size=MAX_BODY_BYTES)
        outbox: asyncio.Queue[tuple[str | None, int]] = asyncio.Queue()
        self._outboxes[connection] = outbox
        writer: asyncio.Task[None] | None = None
        try:
            await socket.prepare(http)
            writer = asyncio.ensure_future(_write(http, socket, outbox))
            self._spoken()
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._served.said(connection, message.data, self._advance())
                    self._spoken()
        finally:
            self._outboxes.pop(connection, None)
            if writer is not None:
                writer.cancel()
            self._served.closed(connection, self._now())
            self._moved.set()
        return socket


async def _write(
    http: web.Request, socket: web.WebSocketResponse, outbox: asyncio.Queue[tuple[str | None, int]]
) -> None:
    try:
        while True:
            text, close_code = await outbox.get()
            if text is None and close_code == BROKEN:
                _break(http)
                return
            if text is None:
                await socket.close(code=close_code)
                return
            await socket.send_str(text)
    except ConnectionError:
        return  # The reader sees the end, too.


async def _tell(http: web.Request, response: Response, fate: Fate) -> web.StreamResponse:
    headers = {**JSON_HEADERS, **response.headers}
    body = response.body
    if fate.cuts_at < 0 and not fate.bytes_per_s:
        return web.Response(status=response.status, body=body, headers=headers)
    slowly = web.StreamResponse(status=response.status, headers=headers)
    slowly.content_length = len(body)
    await slowly.prepare(http)
    told = body if fate.cuts_at < 0 else body[: fate.cuts_at]
    step = max(1, fate.bytes_per_s // _TRICKLES_PER_S) if fate.bytes_per_s else max(1, len(told))
    for at in range(0, len(told), step):
        await slowly.write(told[at : at + step])
        if fate.bytes_per_s:
            await asyncio.sleep(step / fate.bytes_per_s)
    if len(told) < len(body):
        return _hang_up(http)
    await slowly.write_eof()
    return slowly


def _break(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


def _hang_up(http: web.Request) -> web.StreamResponse:
    _break(http)
    raise asyncio.CancelledError


@asynccontextmanager
async def serve(
    served: Served,
    port: int = PORT,
    *,
    tls: ssl.SSLContext | None = None,
    failed: Callable[[BaseException], None] | None = None,
) -> AsyncIterator[Address]:
    """Serve an exchange while the context lasts.

    Args:
        served: The exchange; its time is this machine's.
        port: 0 = a free one.
        tls: With a certificate, for https and wss.
        failed: Is told what broke the passing of time; nothing moves any more then.

    Raises:
        ConfigError: The port is taken, or not allowed.
    """
    host = Host(served, WallClock(), failed or _nothing)
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", host.handle)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=_CLOSE_S)
    await runner.setup()
    time_passes: asyncio.Task[None] | None = None
    try:
        site = web.TCPSite(runner, HOST, port, ssl_context=tls)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            raise _no_port(port, error) from None
        time_passes = asyncio.ensure_future(host.run())
        yield Address(int(runner.addresses[0][1]), tls is not None)
    finally:
        host.end()
        if time_passes is not None:
            time_passes.cancel()
            await asyncio.gather(time_passes, return_exceptions=True)
        await runner.cleanup()


def _nothing(error: BaseException) -> None:
    pass


def _no_port(port: int, error: Exception) -> ConfigError:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} of {HOST} is taken", "choose another with --port, or --port 0 for a free one"
        )
    return ConfigError(f"port {port} of {HOST} can not be used: {error}", "choose another with --port")


class ServedThread:
    """An exchange that is served by a thread of its own.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, address: Address, loop: asyncio.AbstractEventLoop) -> None:
        self.address = address
        self._loop = loop

    def call(self, what: Callable[[], T]) -> T:
        """Return what a function returns that is called between two moments of the exchange."""

        async def do() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result()


@contextmanager
def serve_in_thread(
    served: Served, port: int = 0, *, tls: ssl.SSLContext | None = None
) -> Iterator[ServedThread]:
    """Serve an exchange from a thread while the context lasts, for callers that do not use asyncio.

    Raises:
        ConfigError: The port is taken, or not allowed.
    """
    ready: list[ServedThread | BaseException] = []
    is_ready = threading.Event()
    over: list[asyncio.Event] = []

    async def main() -> None:
        over.append(asyncio.Event())
        async with serve(served, port, tls=tls) as address:
            ready.append(ServedThread(address, asyncio.get_running_loop()))
            is_ready.set()
            await over[0].wait()

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            ready.append(error)
            is_ready.set()

    thread = threading.Thread(target=work, name="exchange", daemon=True)
    thread.start()
    is_ready.wait()
    first = ready[0]
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        first._loop.call_soon_threadsafe(over[0].set)
        thread.join()
