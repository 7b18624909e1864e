"""An independent simulator of the moving average cross: floats, naive, sharing nothing with njord but the rules.

Rules: averages of closes; long while fast > slow from the first bar at which both are known; an order decided at a
close fills at the next open, moved by the slippage to the next worse tick; entries spend weight x equity.
"""

import csv
import gzip
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    ts_open_ns: int
    open: float
    close: float


class Fill(NamedTuple):
    ts_ns: int
    side: str
    price: float
    qty: float


def read(path: Path, tick: float) -> list[Row]:
    def grid(text: str) -> float:
        return round(float(text) / tick) * tick

    rows = []
    with gzip.open(path, "rt") as file:
        for line in csv.reader(file):
            if line[0] in ("timestamp", "date"):
                continue
            moment = datetime.fromisoformat(line[0])
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            rows.append(Row(round(moment.timestamp()) * 10**9, grid(line[1]), grid(line[4])))
    return rows


def signals(rows: list[Row], fast: int, slow: int) -> list[bool]:
    closes = [row.close for row in rows]
    return [
        i + 1 >= slow and sum(closes[i + 1 - fast : i + 1]) / fast > sum(closes[i + 1 - slow : i + 1]) / slow
        for i in range(len(closes))
    ]


def simulate(
    rows: list[Row], want: list[bool], tick: float, capital: float, fee: float, slippage: float
) -> tuple[list[Fill], float]:
    cash, held, size, pending = capital, 0.0, 0.0, 0
    fills: list[Fill] = []
    for row, wanted, was in zip(rows, want, [False, *want], strict=False):
        if pending:
            ticks = row.open / tick
            moved = math.ceil(round(ticks * slippage, 6)) * pending
            price = (round(ticks) + moved) * tick
            qty = size if pending > 0 else held
            cash -= pending * qty * price + qty * price * fee
            held += pending * qty
            fills.append(Fill(row.ts_open_ns, "buy" if pending > 0 else "sell", price, qty))
        pending = int(wanted) - int(was)
        equity = cash + held * row.close
        size = math.floor(equity / (row.close * (1 + fee + slippage + 0.01)) * 1e8) / 1e8
    return fills, cash + held * rows[-1].close
