"""W1 in our compiled lane: the same strategy, market rules and money as the ordered engine, fused into one loop. `TABLE`.

Timed are the indicators and the loop, which writes every order and fill as a row; the columns are in memory, as the peers' are. Beforehand the rows are turned into a run's outcome once: its ledger must agree, and its
order list has the hash that is shown.
"""

import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import njord
from benchmarks.peers.child import Work, serve
from benchmarks.peers.points import config_of


def _prepare() -> tuple[Work, dict[str, Any]]:
    from njord.backtest.fused import compiled_of, looped, outcome_of
    from njord.backtest.fused_terms import NotFused, columns_range, fused_terms
    from njord.backtest.session import BacktestRequest, prepare

    request = BacktestRequest(
        strategy="sma_cross", data=Path(sys.argv[1]), params=("fast=10", "slow=30"), qty=Decimal(1)
    )
    prepared = prepare(request, config_of(Decimal(100_000_000)), {})
    columns = prepared.market.columns(0)
    assert columns is not None
    try:
        strategy = compiled_of(prepared)
        terms, levels = fused_terms(prepared, strategy, columns_range(columns))
        first = looped(strategy, columns, levels, terms)
    except NotFused as error:
        raise SystemExit(f"missing: the compiled lane does not run this: {error}") from None
    with tempfile.TemporaryFile() as stage:
        outcome = outcome_of(prepared, first, stage)
        hashed = outcome.recorder.order_list_hash()
    instrument = prepared.spec.instruments[0]
    unit, close = (
        float(prepared.spec.capital) / terms.capital,
        float(instrument.price(int(columns.close[-1]))),
    )

    def work() -> dict[str, Any]:
        run = looped(strategy, columns, levels, terms)
        equity = run.cash * unit + float(instrument.qty(run.lots)) * close
        return {"orders": len(run.orders), "equity": round(equity, 1)}

    return work, {"units": len(columns), "order_list_hash": hashed}


if __name__ == "__main__":
    serve(f"njord {njord.__version__}, fused engine", _prepare)
