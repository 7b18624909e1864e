"""The recorded ETH/USDT book and trades as rows of a tick market: in the order of the exchange, and of a listener.

The raw capture is read here line by line and not through the store, so that a peer's converter and this one start from the
same bytes: each level and trade with the exchange's time and the time of receipt. What comes before the snapshot of the
book is dropped, and so is a change that the snapshot contains; the snapshot itself gets the exchange's time of the
message before it. Receipts are moved so that the quickest message takes no time (the recorder's clock ran behind).
"""

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from njord.kernels.book import IntArray
from njord.kernels.exchange_rows import ROW_ASK, ROW_BID, ROW_BUY, ROW_CLEAR, ROW_SELL

CAPTURE = (
    Path(__file__).resolve().parents[2]
    / "shared" / "data" / "capture" / "ETHUSDT-binance-spot-20240808.jsonl.gz"
)  # fmt: skip
TICKS_PER_UNIT, LOTS_PER_UNIT = 100, 100_000


class Recorded(NamedTuple):
    """The same rows twice: by the exchange's time, and by the time of receipt."""

    at_exchange: IntArray  # Shape (4, n): kind, time, price in ticks, lots.
    at_home: IntArray


def read_capture(path: Path, n_laps: int) -> Recorded:
    """Return the rows of a capture, repeated `n_laps` times with a pause of a second or two between laps."""
    exchange_ns, home_ns, kind, price, lots = np.array(_parsed(path), np.int64).T
    home_ns = home_ns + max(0, int((exchange_ns - home_ns).max()))
    first, last = min(exchange_ns.min(), home_ns.min()), max(exchange_ns.max(), home_ns.max())
    lap_ns = (int(last - first) // 1_000_000_000 + 2) * 1_000_000_000
    laps = np.repeat(np.arange(n_laps) * lap_ns, len(kind))

    def ordered(times: Any) -> IntArray:
        ts_ns = np.tile(times, n_laps) + laps
        order = np.argsort(ts_ns, kind="stable")
        tiled = (np.tile(kind, n_laps), ts_ns, np.tile(price, n_laps), np.tile(lots, n_laps))
        return np.stack([column[order] for column in tiled])

    return Recorded(ordered(exchange_ns), ordered(home_ns))


def _parsed(path: Path) -> list[tuple[int, int, int, int, int]]:
    rows: list[tuple[int, int, int, int, int]] = []
    exchange_ns, snapshot_id = 0, -1
    with gzip.open(path) as lines:
        for line in lines:
            home_ns, message = int(line[:19]), json.loads(line[20:])
            data = message.get("data")
            if data is None:
                snapshot_id = message["lastUpdateId"]
                rows = [(exchange_ns, home_ns, ROW_CLEAR, 0, 0)]
                rows += _levels(exchange_ns, home_ns, message["bids"], message["asks"])
            elif data.get("e") == "trade":
                exchange_ns = data["T"] * 1_000_000
                kind = ROW_SELL if data["m"] else ROW_BUY
                rows.append((exchange_ns, home_ns, kind, *_whole(data["p"], data["q"])))
            elif data.get("e") == "depthUpdate":
                exchange_ns = data["E"] * 1_000_000
                if snapshot_id < 0 or data["u"] > snapshot_id:
                    rows += _levels(exchange_ns, home_ns, data["b"], data["a"])
    return rows


def _levels(exchange_ns: int, home_ns: int, bids: Any, asks: Any) -> list[tuple[int, int, int, int, int]]:
    sides = ((ROW_BID, bids), (ROW_ASK, asks))
    return [(exchange_ns, home_ns, kind, *_whole(*level)) for kind, levels in sides for level in levels]


def _whole(price: str, qty: str) -> tuple[int, int]:
    return round(float(price) * TICKS_PER_UNIT), round(float(qty) * LOTS_PER_UNIT)
