"""W2, the kernel alone: indicators, levels, fills and sums of all combinations on two threads. `TABLE SLOW_STEP SHARED`.

The points have their parameters already; what a sweep adds (checking parameters, making scores of sums) is in `w2_sweep`.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

import njord
from benchmarks.peers.child import Work, serve
from benchmarks.peers.points import evaluator

THREADS = 2
CHUNK = 50
POOL_BYTES = 24 * 2**20  # Of indicators, of one thread, as in all of the history.


def _prepare() -> tuple[Work, dict[str, Any]]:
    from njord.backtest.fast_room import Room
    from njord.backtest.point import WHOLE, Score
    from njord.kernels.fused_tables import FINAL, N_FILLS, SCORE_SIZE

    opened = evaluator(Path(sys.argv[1]), Decimal(1_000_000))
    slows = range(110, 1101, 10 * int(sys.argv[2]))
    shared = set(range(110, 1101, 10 * int(sys.argv[3])))
    pairs = [(fast, slow) for slow in slows for fast in range(5, 105)]
    points = [(("fast", f"{fast}"), ("slow", f"{slow}")) for fast, slow in pairs]
    ready = [opened._ready(at, params, WHOLE) for at, params in enumerate(points)]
    if any(isinstance(each, Score) for each in ready):
        raise SystemExit("missing: the compiled lane does not run every point")
    counted = np.array([slow in shared for _, slow in pairs])
    out = np.zeros((len(points), SCORE_SIZE))
    blocks = np.zeros((len(points), 16, 3))

    # Each thread takes every second chunk, with tables and indicators of its own.
    def half(which: int) -> None:
        room = Room(ready[0].cut, 2, POOL_BYTES)
        for first in range(which * CHUNK, len(points), THREADS * CHUNK):
            part = slice(first, first + CHUNK)
            opened._run_signals(ready[part], room, out[part], blocks[part])

    def work() -> dict[str, Any]:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(half, range(THREADS)))
        return {
            "orders": int(out[counted, N_FILLS].sum()),
            "equity": round(float(out[counted, FINAL].sum()), 2),
        }

    return work, {"units": opened.n_bars * len(points), "points": len(points), "threads": THREADS}


if __name__ == "__main__":
    serve(f"njord {njord.__version__}, kernel of a sweep", _prepare)
