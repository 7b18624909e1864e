"""A shell without judgment to drive, and a server on the loopback that answers as it is told: for the ways of requests.

The core here asks what a test says and keeps what comes back. The server is raw: what it sends is bytes, at its own pace.
"""

import asyncio
import base64
import hashlib
import threading
import time
from abc import ABC, abstractmethod
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from njord.adapters.clock import WallClock
from njord.adapters.secrets import Secret
from njord.core.contracts import BrokerAmendReq, BrokerCancelReq, BrokerOrderReq, BrokerPending, BrokerReply
from njord.core.units import FOREVER_NS, NS_PER_MS, NS_PER_S
from njord.venues.binance_options import StreamKind, StreamWish
from njord.venues.binanceus import CcxtShell, ShellOptions
from njord.venues.broker_wire import Answer, Ask, Lane, NoAnswer, UnknownOrder, Word
from njord.venues.ccxt_broker_door import Way

KEY, SECRET = "canaryKEYcanaryKEYcanaryKEY", "canarySECRETcanarySECRETcanary"
WITHIN_S = 40.0  # Of what is waited for: only what never comes takes so long.


class CanaryKeys:
    """Keys that would be recognized anywhere."""

    api_key = Secret(KEY)
    api_secret = Secret(SECRET)


def until(holds: Callable[[], object], within_s: float = WITHIN_S) -> bool:
    """Wait until something holds."""
    end_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.002)
    return True


class ScriptedCore:
    """A core that asks what it is told to ask, and remembers what it was told."""

    def __init__(self, wish: StreamWish | None = None) -> None:
        self.wants_stream = wish or StreamWish()
        self.next_wake_ns = FOREVER_NS
        self.clock_offset_ns = 0
        self.cursors: dict[str, str] = {}
        self.account_uid = 0
        self.answers: dict[int, Answer | NoAnswer] = {}
        self.answered_s: dict[int, float] = {}
        self.stream: list[str | bytes] = []
        self.woken: list[int] = []
        self.placed: list[BrokerOrderReq] = []
        self.words: list[Word] = []
        self.breaks = False
        self._asks: list[Ask] = []

    def start(self, now_ns: int) -> None:
        pass

    def place(self, req: BrokerOrderReq, now_ns: int) -> BrokerReply:
        if self.breaks:
            raise KeyError(KEY)
        self.placed.append(req)
        return BrokerPending(client_order_id=req.client_order_id)

    def cancel(self, req: BrokerCancelReq, now_ns: int) -> BrokerReply:
        return BrokerPending(client_order_id=req.client_order_id)

    def amend(self, req: BrokerAmendReq, now_ns: int) -> BrokerReply:
        return BrokerPending(client_order_id=req.client_order_id)

    def answered(self, request_id: int, answer: Answer | NoAnswer, now_ns: int) -> None:
        self.answered_s[request_id] = time.monotonic()
        self.answers[request_id] = answer

    def stream_opened(self, now_ns: int) -> None:
        self.stream.append("opened")

    def stream_said(self, event: bytes, now_ns: int) -> None:
        self.stream.append(event)

    def stream_closed(self, detail: str, now_ns: int) -> None:
        self.stream.append(f"closed: {detail}")

    def wake(self, now_ns: int) -> None:
        self.woken.append(now_ns)
        self.next_wake_ns = FOREVER_NS

    def take_asks(self) -> list[Ask]:
        asks, self._asks = self._asks, []
        return asks

    def take_words(self) -> list[Word]:
        words, self.words = self.words, []
        return words

    def unknown_orders(self) -> Sequence[UnknownOrder]:
        return ()

    def ask(
        self, now_ns: int, method: str, path: str, params: dict[str, str], within_s: float, ts_ms: int
    ) -> int:
        request_id = len(self.answers) + len(self._asks) + 1
        self._asks.append(
            Ask(
                request_id=request_id,
                lane=Lane.CANCEL if method == "DELETE" else Lane.PLACE if method == "POST" else Lane.QUERY,
                method=method,
                path=path,
                params=tuple(params.items()),
                is_signed=path not in ("time", "ping", "exchangeInfo", "userDataStream"),
                ts_ms=ts_ms or now_ns // NS_PER_MS,
                deadline_ns=now_ns + int(within_s * NS_PER_S),
            )
        )
        return request_id


class World:
    """A running shell over a scripted core."""

    def __init__(self, core: ScriptedCore, shell: CcxtShell) -> None:
        self.core = core
        self.shell = shell

    def send(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        within_s: float = 20.0,
        ts_ms: int = 0,
    ) -> int:
        """Let the core ask; return the number of the request."""
        return self.shell.call(
            lambda core, now_ns: self.core.ask(now_ns, method, path, params or {}, within_s, ts_ms), WITHIN_S
        )

    def ask(
        self,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        within_s: float = 20.0,
        ts_ms: int = 0,
    ) -> Answer | NoAnswer:
        """Let the core ask, and return what came back."""
        request_id = self.send(method, path, params, within_s, ts_ms)
        assert until(lambda: request_id in self.core.answers, within_s + WITHIN_S), "it was never answered"
        return self.core.answers[request_id]


@contextmanager
def shell_at(
    endpoint: str | None,
    core: ScriptedCore | None = None,
    *,
    way: Way | None = None,
    stream_open_s: float = 20.0,
    stream_silent_s: float = 20.0,
    reads_only: bool = False,
) -> Iterator[World]:
    """Run a shell until the end of the block."""
    core = core or ScriptedCore()
    options = ShellOptions(
        endpoint=endpoint, stream_open_s=stream_open_s, stream_silent_s=stream_silent_s, reads_only=reads_only
    )
    broken: list[BaseException] = []
    shell = CcxtShell(core, CanaryKeys(), WallClock(), core.words.extend, broken.append, options, way)
    shell.start()
    try:
        yield World(core, shell)
        assert not broken or core.breaks, broken
    finally:
        assert shell.stop(WITHIN_S), "the shell did not end in time"


# --- a server that misbehaves ---


class Heard(msgspec.Struct):
    """A request, as it came."""

    line: str
    headers: dict[str, str]
    body: str


Behave = Callable[["RawServer", Heard, Writer], Awaitable[None]]


class _Loopback(ABC):
    """A server in a thread of its own.

    Attributes:
        port: On the loopback.
    """

    def __init__(self, ssl_context: Any = None) -> None:
        self.port = 0
        self._ssl = ssl_context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._over: asyncio.Event | None = None

    @abstractmethod
    async def _serve(self, reader: Reader, writer: Writer) -> None:
        """Do with a connection what this server does."""

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None and self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(WITHIN_S)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(
            lambda loop, context: None
        )  # A client that leaves is what is tested.
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._ssl)
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        await self._over.wait()
        server.close()  # Who still talks is canceled with the loop.


class RawServer(_Loopback):
    """Answers each request by `behave`, which may do with the socket as it likes.

    Attributes:
        heard: Requests, in order.
    """

    def __init__(self, behave: Behave, ssl_context: Any = None) -> None:
        super().__init__(ssl_context)
        self.behave = behave
        self.heard: list[Heard] = []

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        try:
            while True:
                heard = await heard_request(reader)
                self.heard.append(heard)
                if heard.headers.get("upgrade", "").lower() == "websocket":
                    await upgrade(heard, writer)
                await self.behave(self, heard, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def heard_request(reader: Reader) -> Heard:
    """Return the next request of a client."""
    line, *rows = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rows if each)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(line, headers, body.decode())


async def upgrade(heard: Heard, writer: Writer) -> None:
    """Accept a WebSocket."""
    guid = heard.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(guid.encode()).digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    await writer.drain()


def frame(text: str | bytes, opcode: int = 1) -> bytes:
    """Return a WebSocket frame as a server sends it."""
    data = text.encode() if isinstance(text, str) else text
    size = len(data)
    head = bytes([0x80 | opcode])
    if size < 126:
        return head + bytes([size]) + data
    if size < 1 << 16:
        return head + bytes([126]) + size.to_bytes(2, "big") + data
    return head + bytes([127]) + size.to_bytes(8, "big") + data


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class RecordingResolver(AbstractResolver):
    """Sends every host to the loopback, and writes down which were asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hosts: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        self.hosts.append(host)
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self.port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


SIGNATURE = StreamWish(kind=StreamKind.SIGNATURE, generation=1)
LISTEN = StreamWish(kind=StreamKind.LISTEN_KEY, listen_key="canaryLISTEN", generation=1)


class WsServer(_Loopback):
    """Answers every subscription, and says how many connections are open.

    Args:
        said: Filled with what clients said.
    """

    def __init__(self, said: list[dict[str, Any]]) -> None:
        super().__init__()
        self.said = said
        self.n_open = 0

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        await upgrade(await heard_request(reader), writer)
        self.n_open += 1
        try:
            while (text := await heard_frame(reader)) is not None:
                call = msgspec.json.decode(text)
                self.said.append(call)
                writer.write(
                    frame(
                        msgspec.json.encode(
                            {"id": call["id"], "status": 200, "result": {"subscriptionId": 0}}
                        )
                    )
                )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.n_open -= 1
            writer.close()


async def heard_frame(reader: Reader) -> bytes | None:
    """Return the next text of a client, None at its end."""
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        mask = await reader.readexactly(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(await reader.readexactly(size)))
        if first & 0x0F == 8:
            return None
        if first & 0x0F == 1:
            return data
