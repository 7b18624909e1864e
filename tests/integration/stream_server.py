"""A local exchange in Binance.US's public form: rules, bars and aggregate trades by REST, and their stream by WebSocket.

It runs in a thread of its own on a free port of the loopback, on the wall clock. What happens is what a test says:
`trade` makes trades and sends them; the dials break what a venue breaks.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Self, TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

Answer = TypeVar("Answer")
NS_PER_MS = 1_000_000
MINUTE_MS = 60_000
OLD_TRADES = 50
FIRST_ID = 5_000


class Made(NamedTuple):
    """One trade as it happened; tick 0.01, lot 0.00001."""

    trade_id: int
    ts_ms: int
    price_ticks: int
    qty_lots: int
    is_buyer_maker: bool


@dataclass
class Dials:
    """What goes wrong from now on.

    Attributes:
        is_deaf: The stream says nothing any more, and its socket stays open.
        doubles: Every message of the stream comes twice, and the one before it once more.
        loses: Of the stream's messages this share is left out.
        n_refused: So many dials are turned away.
        rest_fails: REST answers 503.
    """

    is_deaf: bool = False
    doubles: bool = False
    loses: float = 0.0
    n_refused: int = 0
    rest_fails: bool = False


@dataclass
class Asked:
    """What the server was asked."""

    n_dials: int = 0
    rest: list[str] = field(default_factory=list)


class StreamServer:
    """Serves one market, BTC/USDT; a context manager."""

    def __init__(self, seed: int = 1) -> None:
        self.dials = Dials()
        self.asked = Asked()
        self.skew_ms = 0
        self._chance = Random(seed)
        self.trades: list[Made] = []
        self._sockets: list[web.WebSocketResponse] = []
        self._price = 3_000_000
        begin_ms = self._now_ms() - 5 * MINUTE_MS
        for number in range(OLD_TRADES):
            self._make(begin_ms + number * 5 * MINUTE_MS // OLD_TRADES)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started: Future[int] = Future()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def n_connections(self) -> int:
        return sum(not each.closed for each in self._sockets)

    def live_trades(self) -> list[Made]:
        return self.trades[OLD_TRADES:]

    # --- what happens ---

    def trade(self, n: int = 1, price_ticks: int | None = None) -> None:
        """Make trades now and send them in one go."""
        self._on_loop(self._trade(n, price_ticks))

    def push(self, *messages: object) -> None:
        """Send anything."""
        self._on_loop(self._send([json.dumps(message) for message in messages]))

    def skip_ids(self, n: int) -> None:
        """Let `n` ids be nobody's, here and at REST."""
        last = self.trades[-1]
        self._next_id = last.trade_id + 1 + n

    def disconnect(self) -> None:
        """Cut all connections."""
        self._on_loop(self._disconnect())

    def _on_loop(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _trade(self, n: int, price_ticks: int | None) -> None:
        made = [self._make(self._now_ms(), price_ticks) for _ in range(n)]
        texts = [json.dumps(_pushed(each)) for each in made if self._chance.random() >= self.dials.loses]
        if self.dials.doubles:
            before = [json.dumps(_pushed(each)) for each in self.trades[-n - 1 : -n]]
            texts = [text for text in texts for _ in range(2)] + before
        await self._send(texts)

    async def _send(self, texts: Sequence[str]) -> None:
        if self.dials.is_deaf:
            return
        for socket in self._sockets:
            for text in texts:
                if not socket.closed:
                    with suppress(ConnectionResetError):  # Who was killed hears no more.
                        await socket.send_str(text)

    async def _disconnect(self) -> None:
        sockets, self._sockets = self._sockets, []
        for socket in sockets:
            await socket.close(code=WSCloseCode.GOING_AWAY)

    _next_id = FIRST_ID

    def _make(self, ts_ms: int, price_ticks: int | None = None) -> Made:
        self._price += self._chance.randint(-50, 50)
        made = Made(
            self._next_id,
            ts_ms,
            price_ticks or self._price,
            self._chance.randint(1, 100_000),
            self._chance.random() < 0.5,
        )
        self._next_id += 1
        self.trades.append(made)
        return made

    def _now_ms(self) -> int:
        return time.time_ns() // NS_PER_MS

    # --- how it is served ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        for path, answer in (
            ("time", self._time), ("exchangeInfo", self._info), ("klines", self._klines), ("aggTrades", self._agg_trades)
        ):  # fmt: skip
            app.router.add_get(f"/api/v3/{path}", self._rest(path, answer))
        app.router.add_get("/stream/ws/{number}", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._started.set_result(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._disconnect()
        await self._runner.cleanup()

    def _rest(self, path: str, answer: Callable[[dict[str, str]], object]) -> Any:
        async def handle(request: web.Request) -> web.Response:
            self.asked.rest.append(path)
            if self.dials.rest_fails:
                return web.Response(status=503, text="busy")
            said = answer(dict(request.query))
            return web.json_response(said, headers={"X-MBX-USED-WEIGHT-1M": "1"})

        return handle

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.asked.n_dials += 1
        if self.dials.n_refused > 0:
            self.dials.n_refused -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                wanted = json.loads(message.data)
                assert wanted["method"] == "SUBSCRIBE" and wanted["params"] == ["btcusdt@aggTrade"]
                self._sockets.append(socket)
                await socket.send_str(json.dumps({"result": None, "id": wanted["id"]}))
        return socket

    def _time(self, query: dict[str, str]) -> object:
        return {"serverTime": self._now_ms() + self.skew_ms}

    def _info(self, query: dict[str, str]) -> object:
        filters = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01",
                "maxPrice": "1000000.00",
                "tickSize": "0.01000000",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00001000",
            },
            {"filterType": "MIN_NOTIONAL", "minNotional": "1.00000000", "applyToMarket": True},
        ]
        symbol = {
            "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": filters,
        }  # fmt: skip
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100_000}
        return {"timezone": "UTC", "rateLimits": [limit], "symbols": [symbol]}

    # A minute's own number is in its prices, so that a test knows which one it has.
    def _klines(self, query: dict[str, str]) -> object:
        first, last = int(query["startTime"]), int(query["endTime"])
        opens = range(-(-first // MINUTE_MS) * MINUTE_MS, last + 1, MINUTE_MS)[: int(query["limit"])]
        return [
            [
                open_ms,
                *[_text(kline_ticks(open_ms), 2)] * 4,
                "0.50000000",
                open_ms + MINUTE_MS - 1,
                "1.0",
                7,
                "0.2",
                "0.5",
                "0",
            ]
            for open_ms in opens
        ]

    def _agg_trades(self, query: dict[str, str]) -> object:
        limit = int(query.get("limit", 500))
        if "fromId" not in query:
            rows = self.trades[-limit:]
        else:
            first_id = int(query["fromId"])
            rows = [each for each in self.trades if each.trade_id >= first_id][:limit]
        return [_row(each) for each in rows]

    def __enter__(self) -> Self:
        self._thread.start()
        self._port = self._started.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def kline_ticks(open_ms: int) -> int:
    """The price of the bar that opens then."""
    return 2_900_000 + open_ms // MINUTE_MS % 1000


def _row(made: Made) -> dict[str, Any]:
    return {
        "a": made.trade_id,
        "p": _text(made.price_ticks, 2),
        "q": _text(made.qty_lots, 5),
        "f": made.trade_id * 3,
        "l": made.trade_id * 3 + 2,
        "T": made.ts_ms,
        "m": made.is_buyer_maker,
        "M": True,
    }


def _pushed(made: Made) -> dict[str, Any]:
    return {"e": "aggTrade", "E": made.ts_ms, "s": "BTCUSDT", **_row(made)}


# Eight decimals, as the venue writes them.
def _text(steps: int, scale: int) -> str:
    return f"{steps // 10**scale}.{steps % 10**scale:0{scale}d}{'0' * (8 - scale)}"
