"""W1 in our ordered engine: every message journaled, the result's files written. `TABLE STRATEGY`."""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import njord
from benchmarks.peers.child import Work, serve
from benchmarks.peers.points import strategy_of


def _prepare() -> tuple[Work, dict[str, Any]]:
    from njord.adapters.config_loader import load_config
    from njord.backtest.session import BacktestRequest, prepare, run_backtest

    terms = {"backtest.capital": "100000000", "backtest.fee_bps": "10", "backtest.slippage_bps": "0"}
    config = load_config(Path("/nonexistent"), terms, {}).config
    request = BacktestRequest(
        strategy=strategy_of(sys.argv[2]),
        data=Path(sys.argv[1]),
        params=("fast=10", "slow=30"),
        qty=Decimal(1),
    )
    prepared = prepare(request, config, {})

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            finished = run_backtest(prepared, Path(folder))
        return {
            "orders": len(finished.result.fills),
            "equity": round(float(finished.result.final_equity), 1),
            "engine_ns_per_bar": round(1e9 / finished.events_per_s),
            "order_list_hash": finished.result.order_list_hash,
        }

    return work, {"units": prepared.market.n_events}


if __name__ == "__main__":
    serve(f"njord {njord.__version__}, ordered engine", _prepare)
