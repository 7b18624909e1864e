"""The market maker in hftbacktest, over the repeated capture: started by `ticks` with hftbacktest's own interpreter.

`python -m benchmarks.ticks_peer CAPTURE LAPS` reads and orders the capture by hftbacktest's own functions, then answers
each line on stdin, the name of one of its two books, with a line of JSON: what one run took, and what it came to. The first
run of a book compiles. Money and terms are those of `ticks_maker`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.differential.hftbacktest_peer import hft, njit, np, parse, validation

BUY, GTX, LIMIT = hft.BUY, hft.GTX, hft.LIMIT
NO_ASK = 100_000_000
QUANTITY, POSITION_MAX, LATENCY_NS, FEE, STEP_NS = 0.02, 1.0, 10_000_000, 0.001, 100_000_000
BOOKS = {
    "ROIVector": hft.ROIVectorMarketDepthBacktest,
    "HashMap": hft.HashMapMarketDepthBacktest,
}


def laps_of(capture: Path, n_laps: int) -> Any:
    """Return hftbacktest's events of a capture, repeated as `ticks_capture` repeats it."""
    raw = validation.correct_local_timestamp(parse(capture), 0)
    times = np.concatenate([raw["exch_ts"], raw["local_ts"]])
    lap_ns = (int(times.max() - times.min()) // 1_000_000_000 + 2) * 1_000_000_000
    laps = []
    for lap in range(n_laps):
        shifted = raw.copy()
        shifted["exch_ts"] += lap * lap_ns
        shifted["local_ts"] += lap * lap_ns
        laps.append(shifted)
    events = np.concatenate(laps)
    orders = (np.argsort(events[name], kind="mergesort") for name in ("exch_ts", "local_ts"))
    return validation.correct_event_order(events, *orders)


def maker(backtest: Any, step_ns: int, quantity: float, position_max: float) -> int:
    """Join best bid and best ask with one post-only order a side; cancel what the touch has left behind."""
    steps = 0
    while backtest.elapse(step_ns) == 0:
        steps += 1
        backtest.clear_inactive_orders(0)
        depth = backtest.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        if bid <= 0 or ask <= 0 or ask >= NO_ASK:
            continue
        position = backtest.position(0)  # A sum of floats: half an order of room decides.
        buy = position < position_max - quantity / 2
        sell = position > -position_max + quantity / 2
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
            backtest.submit_buy_order(0, 2 * bid, bid * depth.tick_size, quantity, GTX, LIMIT, False)
        if sell:
            backtest.submit_sell_order(0, 2 * ask + 1, ask * depth.tick_size, quantity, GTX, LIMIT, False)
    return steps


def run(book: Any, strategy: Any, events: Any) -> dict[str, Any]:
    """Return what one run took and came to."""
    asset = (
        hft.BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(LATENCY_NS, LATENCY_NS)
        .power_prob_queue_model(2.0)
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE, FEE)
        .tick_size(0.01)
        .lot_size(0.00001)
        .roi_lb(float(events["px"].min()) // 1)
        .roi_ub(float(events["px"].max()) // 1 + 1)
        .last_trades_capacity(0)
    )
    backtest = book([asset])
    started, cpu = time.perf_counter(), time.process_time()
    strategy(backtest, STEP_NS, QUANTITY, POSITION_MAX)
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    state = backtest.state_values(0)
    answer = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "events": len(events),
        "trades": int(state.num_trades),
        "position": round(float(state.position), 5),
        "balance": round(float(state.balance), 4),
        "fee": round(float(state.fee), 4),
        "version": hft.__version__,
    }
    backtest.close()
    return answer


def main() -> None:
    """Answer each line of stdin."""
    events = laps_of(Path(sys.argv[1]), int(sys.argv[2]))
    strategy = njit(maker)
    for line in sys.stdin:
        print(json.dumps(run(BOOKS[line.strip()], strategy, events)), flush=True)


if __name__ == "__main__":
    main()
