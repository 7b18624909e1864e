"""Run the market maker in hftbacktest: a capture and the terms as JSON on stdin, its fills as JSON on stdout.

Started by `ticks` with the interpreter of hftbacktest's own environment, never by ours. The capture is read here once
more, from its raw lines, so that a mistake of our reader shows too. Input: see `Terms`. Output: {"version", "offset_ns":
added to every local time, "start_ns", "events", "fills": [[ts_ns, sign, price_ticks, lots], ...] at venue time,
"position", "balance", "fee", "trades"}.
"""

import gzip
import importlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

np: Any = importlib.import_module("numpy")
hft: Any = importlib.import_module("hftbacktest")  # Lives in its own environment only.
types: Any = importlib.import_module("hftbacktest.types")
validation: Any = importlib.import_module("hftbacktest.data.validation")
njit: Any = importlib.import_module("numba").njit

BUY, FILLED, GTX, LIMIT = hft.BUY, hft.FILLED, hft.GTX, hft.LIMIT
END_OF_DATA = 1
NO_ASK = 100_000_000
FILLS_MAX = 1_000_000


class Terms(NamedTuple):
    """What both sides are told; times in nanoseconds, quantities in lots, the fee a fraction."""

    capture: str
    tick: float
    lot: float
    look_ns: (
        int  # The maker's first look, on the clock of corrected local times; the others follow at intervals.
    )
    interval_ns: int
    qty_lots: int
    position_max_lots: int
    entry_ns: int
    response_ns: int
    fee: float
    queue: str  # probability: the power model with n = 2; or risk_averse


def parse(path: Path) -> Any:
    """Return hftbacktest's events, from the snapshot on: a row per price level or trade."""
    rows: list[tuple[int, int, int, float, float]] = []
    waiting: list[tuple[int, int, int, dict[str, Any]]] = []
    venue_ns, snapshot_id = 0, -1
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            stamp, _, text = line.partition(" ")
            local_ns, message = int(stamp), json.loads(text)
            data = message.get("data")
            if (
                data is None
            ):  # The snapshot: it has no time of the venue's, so it takes that of the line before.
                snapshot_id, rows = message["lastUpdateId"], []
                for side, levels in ((types.BUY_EVENT, message["bids"]), (types.SELL_EVENT, message["asks"])):
                    rows.append(
                        (types.DEPTH_CLEAR_EVENT | side, venue_ns, local_ns, float(levels[-1][0]), 0.0)
                    )
                    rows += _levels(types.DEPTH_SNAPSHOT_EVENT | side, venue_ns, local_ns, levels)
            elif data.get("e") == "trade":
                venue_ns = data["T"] * 1_000_000
                side = types.SELL_EVENT if data["m"] else types.BUY_EVENT
                row = (types.TRADE_EVENT | side, venue_ns, local_ns, float(data["p"]), float(data["q"]))
                rows.append(row)
            elif data.get("e") == "depthUpdate":
                venue_ns = data["E"] * 1_000_000
                if snapshot_id >= 0 and data["u"] > snapshot_id:
                    rows += _levels(types.DEPTH_EVENT | types.BUY_EVENT, venue_ns, local_ns, data["b"])
                    rows += _levels(types.DEPTH_EVENT | types.SELL_EVENT, venue_ns, local_ns, data["a"])
                else:
                    waiting.append((data["u"], venue_ns, local_ns, data))
    if any(last_id > snapshot_id for last_id, *_ in waiting):
        raise SystemExit(
            "changes that came before the snapshot belong behind it: this reader does not do that"
        )
    return np.array([(*row, 0, 0, 0.0) for row in rows], types.event_dtype)


def _levels(
    event: int, venue_ns: int, local_ns: int, levels: list[list[str]]
) -> list[tuple[int, int, int, float, float]]:
    return [(event, venue_ns, local_ns, float(price), float(qty)) for price, qty in levels]


def prepared(raw: Any) -> tuple[Any, int]:
    """Return the events in hftbacktest's two orders, and what was added to local times so that none precedes its cause."""
    before = int(raw["local_ts"][0])
    raw = validation.correct_local_timestamp(raw, 0)
    by_venue = np.argsort(raw["exch_ts"], kind="mergesort")
    by_local = np.argsort(raw["local_ts"], kind="mergesort")
    events = validation.correct_event_order(raw, by_venue, by_local)
    validation.validate_event_order(events)
    return events, int(raw["local_ts"][0]) - before


def maker(
    backtest: Any, first_ns: int, interval_ns: int, qty: float, most: float, lot: float, fills: Any
) -> int:
    """Join best bid and best ask with one post-only order a side; cancel what the touch has left behind."""
    n_fills = 0
    step_ns = first_ns
    while True:
        ended = backtest.elapse(step_ns)
        if ended != 0:
            return n_fills if ended == END_OF_DATA else -ended
        step_ns = interval_ns
        orders = backtest.orders(0).values()
        while orders.has_next():
            order = orders.get()
            if order.status == FILLED:
                fills[n_fills, 0] = order.exch_timestamp
                fills[n_fills, 1] = order.side
                fills[n_fills, 2] = order.exec_price_tick
                fills[n_fills, 3] = np.int64(np.round(order.exec_qty / lot))
                n_fills += 1
        backtest.clear_inactive_orders(0)
        depth = backtest.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid <= 0 or ask <= 0 or ask >= NO_ASK:
            continue
        position = backtest.position(0)  # A sum of floats: half an order of room decides.
        buy, sell = position < most - qty / 2, position > -most + qty / 2
        orders = backtest.orders(0).values()
        while orders.has_next():
            order = orders.get()
            stands = order.price_tick == (bid if order.side == BUY else ask)
            if stands and order.side == BUY:
                buy = False
            elif stands:
                sell = False
            elif order.cancellable:
                backtest.cancel(0, order.order_id, False)
        if buy:
            backtest.submit_buy_order(0, 2 * bid, bid * depth.tick_size, qty, GTX, LIMIT, False)
        if sell:
            backtest.submit_sell_order(0, 2 * ask + 1, ask * depth.tick_size, qty, GTX, LIMIT, False)


def run(terms: Terms) -> dict[str, Any]:
    """Return what hftbacktest makes of the maker."""
    events, offset_ns = prepared(parse(Path(terms.capture)))
    start_ns = int(min(events["exch_ts"][events["exch_ts"] > 0].min(), events["local_ts"].min()))
    asset = (
        hft.BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(terms.entry_ns, terms.response_ns)
        .no_partial_fill_exchange()
        .trading_value_fee_model(terms.fee, terms.fee)
        .tick_size(terms.tick)
        .lot_size(terms.lot)
        .last_trades_capacity(0)
    )
    asset = (
        asset.power_prob_queue_model(2.0)
        if terms.queue == "probability"
        else asset.risk_adverse_queue_model()
    )
    backtest = hft.HashMapMarketDepthBacktest([asset])
    fills = np.zeros((FILLS_MAX, 4), np.int64)
    qty, most = terms.qty_lots * terms.lot, terms.position_max_lots * terms.lot
    first_ns = terms.look_ns - start_ns
    if first_ns <= 0:  # The other side heard of the market before its snapshot.
        first_ns = first_ns % terms.interval_ns or terms.interval_ns
    run_maker = njit(maker)  # hftbacktest's strategies can not be cached: some seconds of compilation.
    n_fills = run_maker(backtest, first_ns, terms.interval_ns, qty, most, terms.lot, fills)
    if n_fills < 0:
        raise SystemExit(f"hftbacktest stopped with error {-n_fills}")
    state = backtest.state_values(0)
    answer = {
        "version": hft.__version__,
        "offset_ns": offset_ns,
        "start_ns": start_ns,
        "end_ns": int(backtest.current_timestamp),
        "events": len(events),
        "fills": fills[:n_fills].tolist(),
        "position": float(state.position),
        "balance": float(state.balance),
        "fee": float(state.fee),
        "trades": int(state.num_trades),
    }
    backtest.close()
    return answer


def main() -> None:
    """Answer stdin on stdout."""
    json.dump(run(Terms(**json.load(sys.stdin))), sys.stdout)


if __name__ == "__main__":
    main()
