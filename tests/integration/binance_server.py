"""A market that is known row by row, and an HTTP server on the loopback that tells of it the way Binance.US does.

The server misbehaves where its plan says so. Time is virtual: whoever sleeps moves it, and each request takes 20 ms.
"""

import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000  # 2023-11-14 22:14 UTC, a whole minute.
NS_PER_MS = 1_000_000
REQUEST_NS = 20_000_000
WEIGHTS = {"exchangeInfo": 10, "historicalTrades": 5}
INTERVALS = {"1m": 1, "5m": 5, "1h": 60}
BREAKING = ("429", "418", "500", "502", "503", "code_1001", "truncated", "reset", "html", "wrong_form")
PAGES = ("empty", "repeated", "overlapping", "shuffled", "jumped", "earlier")


class VirtualTime:
    """A clock that sleeping moves; shared by the client and the server."""

    def __init__(self, now_ms: int) -> None:
        self._now_ns = now_ms * NS_PER_MS
        self.slept_s: list[float] = []

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self._now_ns += int(seconds * 1e9)

    def pass_ns(self, ns: int) -> None:
        self._now_ns += ns


class Market:
    """Minute bars and aggregate trades of BTC/USDT, tick 0.01, lot 0.00001; the same seed makes the same market.

    Args:
        n_bars: Minutes from START_MS on, the still open one not among them.
        n_trades: Aggregate trades over the same time, from id `first_id` on.
        missing_bars: Half-open ranges of minutes that the venue does not have.
        missing_trades: The same of trades, counted from the first.
    """

    def __init__(
        self,
        n_bars: int = 0,
        n_trades: int = 0,
        *,
        seed: int = 1,
        first_id: int = 5_000,
        missing_bars: Sequence[tuple[int, int]] = (),
        missing_trades: Sequence[tuple[int, int]] = (),
    ) -> None:
        rng = np.random.default_rng(seed)
        self.end_ms = START_MS + max(n_bars, 1) * MINUTE_MS
        self.bars = self._make_bars(rng, n_bars + 1)  # The last one is still open.
        self.trades = self._make_trades(rng, n_trades, first_id)
        self.bars = {name: np.delete(values, _rows(missing_bars)) for name, values in self.bars.items()}
        self.trades = {name: np.delete(values, _rows(missing_trades)) for name, values in self.trades.items()}

    @staticmethod
    def _make_bars(rng: np.random.Generator, n: int) -> dict[str, IntArray]:
        close = 3_000_000 + np.cumsum(rng.integers(-90, 91, n))
        open_ = np.concatenate(([3_000_000], close[:-1]))
        return {
            "ts_open_ns": (START_MS + np.arange(n, dtype=np.int64) * MINUTE_MS) * NS_PER_MS,
            "open": open_,
            "high": np.maximum(open_, close) + rng.integers(0, 50, n),
            "low": np.minimum(open_, close) - rng.integers(0, 50, n),
            "close": close,
            "volume_lots": rng.integers(0, 10_000_000, n),
        }

    def _make_trades(self, rng: np.random.Generator, n: int, first_id: int) -> dict[str, IntArray]:
        # Several trades share a millisecond.
        times = np.sort(rng.integers(START_MS, self.end_ms, n)) // 7 * 7
        times = np.maximum(times, START_MS) * NS_PER_MS
        return {
            "ts_ns": times,
            "ts_venue_ns": times.copy(),
            "trade_id": first_id + np.arange(n, dtype=np.int64),
            "side": rng.choice(np.array([-1, 1]), n),
            "price_ticks": 3_000_000 + np.cumsum(rng.integers(-9, 10, n)),
            "qty_lots": rng.integers(1, 1_000_000, n),
        }

    def closed_bars(self) -> dict[str, IntArray]:
        """The bars that have ended at `end_ms`."""
        rows = self.bars["ts_open_ns"] < self.end_ms * NS_PER_MS
        return {name: values[rows] for name, values in self.bars.items()}

    def klines(self, first_ms: int, last_ms: int, limit: int) -> list[list[Any]]:
        opens = self.bars["ts_open_ns"] // NS_PER_MS
        rows = np.flatnonzero((opens >= first_ms) & (opens <= last_ms))[:limit]
        return [self._kline(int(row)) for row in rows]

    def _kline(self, row: int) -> list[Any]:
        open_ms = int(self.bars["ts_open_ns"][row]) // NS_PER_MS
        prices = [_text(int(self.bars[name][row]), 2) for name in ("open", "high", "low", "close")]
        volume = _text(int(self.bars["volume_lots"][row]), 5)
        return [open_ms, *prices, volume, open_ms + MINUTE_MS - 1, "1.00000000", 7, "0.50000000", "0.5", "0"]

    def agg_trades(self, rows: IntArray) -> list[dict[str, Any]]:
        trades = self.trades
        return [
            {
                "a": int(trades["trade_id"][row]),
                "p": _text(int(trades["price_ticks"][row]), 2),
                "q": _text(int(trades["qty_lots"][row]), 5),
                "f": int(trades["trade_id"][row]) * 3,
                "l": int(trades["trade_id"][row]) * 3 + 2,
                "T": int(trades["ts_ns"][row]) // NS_PER_MS,
                "m": int(trades["side"][row]) < 0,
                "M": True,
            }
            for row in rows
        ]

    def rows_of(self, query: Mapping[str, str], limit: int) -> IntArray:
        ids, times = self.trades["trade_id"], self.trades["ts_ns"] // NS_PER_MS
        if "fromId" in query:
            return np.flatnonzero(ids >= int(query["fromId"]))[:limit]
        if "startTime" in query or "endTime" in query:
            first, last = int(query.get("startTime", 0)), int(query.get("endTime", 2**62))
            return np.flatnonzero((times >= first) & (times <= last))[:limit]
        return np.arange(len(ids))[-limit:]


def _rows(ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [row for first, end in ranges for row in range(first, end)]


# Eight decimals, as the venue writes them.
def _text(steps: int, scale: int) -> str:
    return f"{steps // 10**scale}.{steps % 10**scale:0{scale}d}{'0' * (8 - scale)}"


@dataclass(frozen=True)
class Asked:
    """One request as the server saw it."""

    path: str
    query: dict[str, str]
    ts_ns: int
    fault: str = ""


@dataclass
class Plan:
    """Which request for rows meets which fault: by its number from 0, or by chance under a seed.

    No two requests in a row meet a fault of content: an answer that is empty every time is a gap of the venue.
    """

    at: Mapping[int, str] = field(default_factory=dict)
    seed: int | None = None
    share: float = 0.3
    retry_after_s: int | None = 3

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._last_was_content = False

    def fault(self, number: int) -> str:
        if self.seed is None:
            return self.at.get(number, "")
        kinds = BREAKING if self._last_was_content else BREAKING + PAGES
        drawn = self._chance.choice(kinds) if self._chance.random() < self.share else ""
        self._last_was_content = drawn in PAGES or (self._last_was_content and drawn in BREAKING)
        return drawn


class BinanceServer:
    """Serves a market on a free port of the loopback; a context manager."""

    def __init__(
        self,
        market: Market,
        time: VirtualTime,
        plan: Plan | None = None,
        *,
        weight_limit: int = 1200,
        skew_ms: int = 0,
        serves_open_bar: bool = False,
        on_request: Callable[[Asked], None] = lambda asked: None,
    ) -> None:
        self.market = market
        self.time = time
        self.plan = plan or Plan()
        self.weight_limit = weight_limit
        self.skew_ms = skew_ms
        self.serves_open_bar = serves_open_bar
        self.on_request = on_request
        self.asked: list[Asked] = []
        self.weights: dict[int, int] = {}
        self.n_row_requests = 0
        self.closing = threading.Event()
        self._http = _Http(("127.0.0.1", 0), _Handler, self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def rows_asked(self, path: str) -> list[Asked]:
        """The requests for pages of rows, without the small ones that look for an id."""
        return [each for each in self.asked if each.path == path and each.query.get("limit") != "1"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type["_Handler"], server: BinanceServer) -> None:
        super().__init__(address, handler)
        self.venue = server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        venue = self.server.venue
        parts = urlsplit(self.path)
        path, query = parts.path.removeprefix("/api/v3/"), dict(parse_qsl(parts.query))
        venue.time.pass_ns(REQUEST_NS)
        fault = ""
        if path in ("klines", "aggTrades"):
            fault = venue.plan.fault(venue.n_row_requests)
            venue.n_row_requests += 1
        asked = Asked(path, query, venue.time.now_ns(), fault)
        venue.asked.append(asked)
        venue.on_request(asked)
        minute = venue.time.now_ns() // (MINUTE_MS * NS_PER_MS)
        venue.weights[minute] = venue.weights.get(minute, 0) + WEIGHTS.get(path, 1)
        self._used = venue.weights[minute]
        if self._used > venue.weight_limit:
            fault = "429"
        self._answer(path, query, fault)

    def _answer(self, path: str, query: dict[str, str], fault: str) -> None:
        refusals = {"429": -1003, "418": -1003, "500": -1000, "502": 0, "503": 0, "code_1001": -1001}
        if fault in refusals:
            status = 400 if fault == "code_1001" else int(fault)
            code = refusals[fault]
            body = json.dumps({"code": code, "msg": "Trouble."}) if code else "<html>Bad gateway</html>"
            self._send(status, body)
        elif fault == "html":
            self._send(200, "<html>maintenance</html>")
        elif fault == "wrong_form":
            self._send(200, json.dumps({"rows": []}))
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif fault == "slow":
            self.server.venue.closing.wait(1.0)
            self.close_connection = True
        elif fault == "redirect":
            self._send(302, "", {"Location": "http://localhost:9/api/v3/klines"})
        else:
            status, said = self._said(path, query, fault)
            self._send(status, json.dumps(said), cut=fault == "truncated")

    def _said(self, path: str, query: dict[str, str], fault: str) -> tuple[int, object]:
        venue = self.server.venue
        if path == "ping":
            return 200, {}
        if path == "time":
            return 200, {"serverTime": venue.time.now_ns() // NS_PER_MS + venue.skew_ms}
        if path == "exchangeInfo":
            return 200, _exchange_info(venue.weight_limit)
        if query.get("symbol") != "BTCUSDT":
            return 400, {"code": -1121, "msg": "Invalid symbol."}
        limit = min(int(query.get("limit", 500)), 1000)
        if path == "klines":
            if query.get("interval") not in INTERVALS:
                return 400, {"code": -1120, "msg": "Invalid interval."}
            return 200, self._klines(query, limit, fault)
        if path == "aggTrades":
            return 200, self._agg_trades(query, limit, fault)
        if path in ("trades", "historicalTrades"):
            return 200, [
                {
                    "id": row["f"],
                    "price": row["p"],
                    "qty": row["q"],
                    "time": row["T"],
                    "isBuyerMaker": row["m"],
                }
                for row in venue.market.agg_trades(venue.market.rows_of(query, limit))
            ]
        return 404, {"code": -1100, "msg": "No such path."}

    def _klines(self, query: dict[str, str], limit: int, fault: str) -> list[Any]:
        venue = self.server.venue
        first = (
            int(query.get("startTime", 0))
            + {"jumped": 40, "overlapping": -3, "earlier": -40}.get(fault, 0) * MINUTE_MS
        )
        last = int(query.get("endTime", 2**62))
        if fault == "earlier":
            last = min(last, first + 20 * MINUTE_MS)
        rows = venue.market.klines(first, last, limit)
        if venue.serves_open_bar:
            rows += venue.market.klines(venue.market.end_ms, 2**62, 1)
        return _disturbed(rows, fault)

    def _agg_trades(self, query: dict[str, str], limit: int, fault: str) -> list[Any]:
        market = self.server.venue.market
        asked = dict(query)
        if "fromId" in asked:
            asked["fromId"] = str(int(asked["fromId"]) + {"jumped": 40, "overlapping": -3}.get(fault, 0))
            if fault == "earlier":
                asked["fromId"], limit = str(int(asked["fromId"]) - 40), min(limit, 20)
        return _disturbed(market.agg_trades(market.rows_of(asked, limit)), fault)

    def _send(
        self, status: int, body: str, headers: Mapping[str, str] | None = None, *, cut: bool = False
    ) -> None:
        venue = self.server.venue
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-MBX-USED-WEIGHT-1M", str(self._used))
        if status in (418, 429) and venue.plan.retry_after_s is not None:
            self.send_header("Retry-After", str(venue.plan.retry_after_s))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True


def _disturbed(rows: list[Any], fault: str) -> list[Any]:
    if fault == "empty":
        return []
    if fault == "repeated":
        return [row for row in rows for _ in range(2)]
    if fault == "shuffled":
        return rows[len(rows) // 2 :] + rows[: len(rows) // 2]
    return rows


def _exchange_info(weight_limit: int) -> dict[str, Any]:
    def symbol(base: str, quote: str, tick: str, step: str) -> dict[str, Any]:
        return {
            "symbol": base + quote,
            "status": "TRADING",
            "baseAsset": base,
            "quoteAsset": quote,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.0", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
                {"filterType": "ICEBERG_PARTS", "limit": 10},
                {"filterType": "MIN_NOTIONAL", "minNotional": "1.00000000", "applyToMarket": True},
            ],
        }

    return {
        "timezone": "UTC",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_limit}
        ],
        "symbols": [
            symbol("BTC", "USDT", "0.01000000", "0.00001000"),
            symbol("ETH", "USDT", "0.01000000", "0.00010000"),
            symbol("BTC", "USD", "0.01000000", "0.00001000"),
        ],
    }
