"""W2 in our compiled lane: the combinations of a sweep as points, on two threads that share the data. `TABLE SLOW_STEP SHARED [STRATEGY]`.

`orders` and `equity` are sums over the points that the peers evaluate too, those of every SHARED-th slow window.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import njord
from benchmarks.peers.child import Work, serve
from benchmarks.peers.points import evaluator

THREADS = 2
CHUNK = 250  # Points that a thread takes at a time.


def _prepare() -> tuple[Work, dict[str, Any]]:
    own = sys.argv[4] if len(sys.argv) > 4 else "sma_cross"
    opened = evaluator(Path(sys.argv[1]), Decimal(1_000_000), own)
    slows = range(110, 1101, 10 * int(sys.argv[2]))
    shared = set(range(110, 1101, 10 * int(sys.argv[3])))
    pairs = [(fast, slow) for slow in slows for fast in range(5, 105)]
    points = [(("fast", f"{fast}"), ("slow", f"{slow}")) for fast, slow in pairs]
    chunks = [points[first : first + CHUNK] for first in range(0, len(points), CHUNK)]

    def work() -> dict[str, Any]:
        with ThreadPoolExecutor(THREADS) as pool:
            scores = [score for chunk in pool.map(opened.evaluate, chunks) for score in chunk]
        counted = [score for score, (_, slow) in zip(scores, pairs, strict=True) if slow in shared]
        return {
            "orders": sum(score.n_fills for score in counted),
            "equity": round(sum(score.final_equity for score in counted), 2),
        }

    return work, {"units": opened.n_bars * len(points), "points": len(points), "threads": THREADS}


if __name__ == "__main__":
    serve(f"njord {njord.__version__}, sweep of points", _prepare)
