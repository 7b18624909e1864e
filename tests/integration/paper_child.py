"""A paper session in a process of its own that watches its own engine: how long a step takes, and who touches a socket.

    python -m tests.integration.paper_child ROOT DATA SPEED

With NJORD_REDIS__URL set, the kill switch's key is read and a tap publishes the session; without, there is no Redis. A
process that is told `file` as its fourth argument reads the kill switch's file alone, so that it trades on while Redis
is in trouble. It says its folder on a line of its own, and its figures as JSON on the last.
"""

import asyncio
import gc
import json
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_watch import KillSwitchWatch
from njord.apps.node import NodeOptions, PaperNode
from njord.apps.paced_feed import PacedFeed, parse_speed
from njord.apps.session import Session
from njord.apps.tap_process import TapProcess
from njord.backtest.session import BacktestRequest, prepare
from njord.core.config_shapes import paper_config
from njord.core.contracts import Message

OVERRIDES = {
    "paper.capital": "100000000",
    "paper.risk_profile": "research",
    "risk.kill_switch_max_age_ms": "30000",  # A slow machine trips nothing.
}
_SILENT = {"socket.__new__"}  # The event loop makes a pair for itself; only a connection leads anywhere.


class Trace:
    """Which thread did what with a socket."""

    def __init__(self) -> None:
        self.engine_thread = threading.get_ident()
        self.of_engine: list[str] = []
        self.n_of_others = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not event.startswith("socket.") or event in _SILENT:
            return
        if threading.get_ident() == self.engine_thread:
            self.of_engine.append(event)
        else:
            self.n_of_others += 1


class Timed:
    """The engine, with a watch on each step."""

    def __init__(self, session: Session) -> None:
        self._step = session.system.engine.step
        self.took_ns: list[int] = []
        session.system.engine.step = self.step  # type: ignore[method-assign]  # The host asks it by this name.

    def step(self, message: Message) -> list[Message]:
        """Run one step."""
        begun = time.perf_counter_ns()
        done = self._step(message)
        self.took_ns.append(time.perf_counter_ns() - begun)
        return done

    def percentile_us(self, share: float) -> float:
        """Return what that share of the steps stays under."""
        ordered = sorted(self.took_ns)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1_000


def run(root: Path, data: Path, speed: str, reads_redis: bool) -> dict[str, Any]:
    """Run a session to the end of its data and return its figures."""
    loaded = load_config(root, OVERRIDES).config
    config = paper_config(loaded)
    request = BacktestRequest(strategy="sma_cross", data=data, params=("fast=3", "slow=8"), qty=Decimal(1))
    prepared = prepare(request, config, {})
    with prepared.market as market:
        session = Session.open(prepared, root / config.paths.state)
        print(session.folder, flush=True)
        url = None if config.redis.url is None else config.redis.url.get_secret_value()
        risk = config.risk
        watch = KillSwitchWatch(
            root / risk.kill_switch_file,
            url if reads_redis else None,
            risk.kill_switch_key,
            risk.kill_switch_max_age_ms,
        )
        tap = TapProcess(session.folder, root) if url is not None else None
        trace, timed = Trace(), Timed(session)
        feed = PacedFeed(market, parse_speed(speed))

        def on_second() -> None:
            if tap is not None:
                tap.poll()

        node = PaperNode(session, feed, watch, NodeOptions(), on_second=on_second)
        watch.start()
        if tap is not None:
            tap.start()
        gc.freeze()
        ended = asyncio.run(node.run())
        watch.stop()
        state = tap.stop(10.0) if tap is not None else None
    return {
        "reason": ended.reason,
        "n_steps": len(timed.took_ns),
        "p50_us": timed.percentile_us(0.5),
        "p99_us": timed.percentile_us(0.99),
        "p999_us": timed.percentile_us(0.999),
        "max_us": timed.percentile_us(1.0),
        "sockets_of_engine": trace.of_engine,
        "n_sockets_of_others": trace.n_of_others,
        "order_list_hash": session.recorder.order_list_hash(),
        "n_journal": session.journal.n_messages,
        "published_to": state.seq if state else 0,
        "tap_error": state.error if state else "",
    }


if __name__ == "__main__":
    only_file = sys.argv[4:] == ["file"]
    print(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], not only_file)))
