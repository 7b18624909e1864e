"""From what a run left behind to its result: exact totals, round trips, statistics, assumptions in sentences."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from njord.backtest.equity import EquityRecorder
from njord.backtest.recorder import RecordedFill, Recorder
from njord.backtest.result import (
    CURVE_POINTS_MAX,
    BacktestResult,
    ResultFill,
    ResultOpenLot,
    ResultOrder,
    ResultTrip,
)
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.units import EXACT, ZERO, plain
from njord.performance.streaming import EquityStatistics
from njord.performance.summary import summarize, to_json_values
from njord.performance.trades import OpenLot, RoundTrip, RoundTripBook, TradeFill
from njord.portfolio.rebalance import SIZING_BUFFER
from njord.risk.profile import describe
from njord.storage.certificate.tally import overlap_ns
from njord.storage.dataset import BarDataset
from njord.system import System, SystemSpec
from njord.venues.simulated import SimulatedVenue


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is left when the host has stopped."""

    system: System
    venue: SimulatedVenue
    recorder: Recorder
    equity: EquityRecorder
    statistics: EquityStatistics
    n_messages: int
    journal_head: str


def sum_up(
    spec: SystemSpec, dataset: BarDataset, rows: tuple[int, int], outcome: Outcome, context: dict[str, Any]
) -> BacktestResult:
    """Return the result of a run.

    Raises:
        InvariantError: Round trips and the ledger do not agree on the profit.
    """
    instrument = spec.instruments[0]
    recorder, ledger = outcome.recorder, outcome.system.ledger
    account = ledger.account
    final_equity = account.equity(ledger.mark_ticks)
    if final_equity is None:
        raise InvariantError("the run ended without a price for an open position")
    trips, lots = _round_trips(instrument, recorder.fills)
    mark = instrument.price(ledger.mark_ticks[0])
    fees = account.fees
    _agree(trips, lots, mark, EXACT.subtract(final_equity, spec.capital))
    n_rows = rows[1] - rows[0]
    summary = summarize(
        outcome.statistics,
        trips,
        capital=spec.capital,
        final_equity=final_equity,
        fees=fees,
        n_fills=len(recorder.fills),
        exposure=outcome.equity.n_bars_invested / n_rows,
        interval_ns=dataset.interval_ns,
    )
    stats = to_json_values(summary)
    if not isinstance(stats, dict):
        raise InvariantError("a summary is a structure")
    ts_ns, equity = outcome.equity.sample(CURVE_POINTS_MAX)
    return BacktestResult(
        run_id=spec.run_id,
        njord_version=context["version"],
        synthetic=context["synthetic"],
        strategy=context["strategy"],
        instrument=msgspec.to_builtins(instrument, builtin_types=(Decimal,)) | {"id": instrument.id},
        report_asset=spec.report_asset,
        data=_data(dataset, rows, recorder),
        capital=plain(spec.capital),
        final_equity=plain(final_equity),
        fees=plain(fees),
        slippage=plain(outcome.venue.slippage_paid),
        stats=stats,
        fills=[_fill(instrument, fill, recorder) for fill in recorder.fills],
        unfilled_orders=_unfilled(instrument, recorder),
        round_trips=[_trip(trip) for trip in trips],
        open_lots=[_lot(lot, mark) for lot in lots],
        refusals=dict(sorted(recorder.refusals.items())),
        endings=dict(sorted(recorder.endings.items())),
        order_list_hash=recorder.order_list_hash(),
        journal={"n_messages": outcome.n_messages, "head": outcome.journal_head},
        equity_curve=list(zip(ts_ns, equity, strict=True)),
        equity_curve_file="equity.parquet",
        assumptions=[*dataset.assumptions, *_assumptions(spec, instrument, context)],
        risk_profile={"name": spec.risk_profile, "rules": describe(outcome.system.rules)},
        costs=context["costs"],
        warnings=[*context["warnings"], *_warnings(dataset)],
        seed=context["seed"],
        config_hash=context["config_hash"],
        code_hash=context["code_hash"],
        error=recorder.suspended[0].error if recorder.suspended else "",
    )


def _round_trips(
    instrument: Instrument, fills: Sequence[RecordedFill]
) -> tuple[list[RoundTrip], Sequence[OpenLot]]:
    book = RoundTripBook(instrument.money_scale)
    trips: list[RoundTrip] = []
    for fill in fills:
        trips += book.apply(
            TradeFill(
                fill.ts_venue_ns,
                fill.instrument,
                fill.side,
                instrument.price(fill.price_ticks),
                instrument.qty(fill.qty_lots),
                fill.fee,
            )
        )
    return trips, book.open_lots()


# Two independent ways to the same profit: the ledger's average cost and the round trips' first in first out.
def _agree(trips: Sequence[RoundTrip], lots: Sequence[OpenLot], mark: Decimal, profit: Decimal) -> None:
    total = ZERO
    for trip in trips:
        total = EXACT.add(total, trip.pnl)
    for lot in lots:
        total = EXACT.add(total, lot.unrealized_pnl(mark))
    if total != profit:
        raise InvariantError(f"the ledger's profit is {profit}, round trips and open lots add up to {total}")


def _data(dataset: BarDataset, rows: tuple[int, int], recorder: Recorder) -> dict[str, Any]:
    last = next(dataset.chunks(rows[1] - 1, rows[1]))
    first = next(dataset.chunks(rows[0], rows[0] + 1))
    start_ns, end_ns = int(first.ts_open_ns[0]), int(last.ts_open_ns[0]) + dataset.interval_ns
    bad = dataset.certificate.bad_range_array()
    run = np.array([[start_ns, end_ns]], dtype=np.int64)
    held = np.array(recorder.held_ranges(0, end_ns), dtype=np.int64).reshape(-1, 2)
    certificate = msgspec.to_builtins(dataset.certificate)
    # Those two are for computing, not for reading; the hash stands for them.
    del certificate["bad_ranges"], certificate["facts"]
    return {
        "file": dataset.name,
        "hash": dataset.hash,
        "interval_ns": dataset.interval_ns,
        "first_row": rows[0],
        "end_row": rows[1],
        "n_bars": rows[1] - rows[0],
        "start_ns": start_ns,
        "end_ns": end_ns,
        "bad_ns": overlap_ns(bad, run),
        "bad_in_positions_ns": overlap_ns(bad, held),
        "certificate_hash": dataset.certificate.digest(),
        "certificate": certificate,
    }


def _fill(instrument: Instrument, fill: RecordedFill, recorder: Recorder) -> ResultFill:
    return ResultFill(
        ts_ns=fill.ts_venue_ns,
        side=fill.side,
        price=plain(instrument.price(fill.price_ticks)),
        qty=plain(instrument.qty(fill.qty_lots)),
        fee=plain(fill.fee),
        fee_asset=fill.fee_asset,
        is_maker=fill.is_maker,
        symbol=instrument.symbol,
        strategy_id=recorder.orders[fill.order_no - 1].strategy_id,
        order_no=fill.order_no,
    )


def _unfilled(instrument: Instrument, recorder: Recorder) -> list[ResultOrder]:
    return [
        ResultOrder(
            order_no=order.order_no,
            ts_ns=order.ts_ns,
            symbol=instrument.symbol,
            side=order.side,
            type=order.type,
            limit_price=plain(instrument.price(order.limit_price_ticks)) if order.limit_price_ticks else None,
            qty=plain(instrument.qty(order.qty_lots)),
            terminal=order.terminal,
        )
        for order in recorder.orders
        if order.terminal != "filled"
    ]


def _trip(trip: RoundTrip) -> ResultTrip:
    return ResultTrip(
        side=trip.side,
        ts_open_ns=trip.ts_open_ns,
        ts_close_ns=trip.ts_close_ns,
        qty=plain(trip.qty),
        entry_price=plain(trip.entry_price),
        exit_price=plain(trip.exit_price),
        fees=plain(trip.fees),
        pnl=plain(trip.pnl),
        return_fraction=trip.return_fraction,
    )


def _lot(lot: OpenLot, mark: Decimal) -> ResultOpenLot:
    return ResultOpenLot(
        side=lot.side,
        ts_open_ns=lot.ts_open_ns,
        qty=plain(lot.qty),
        entry_price=plain(lot.entry_price),
        fees=plain(lot.fees),
        unrealized_pnl=plain(lot.unrealized_pnl(mark)),
    )


def _assumptions(spec: SystemSpec, instrument: Instrument, context: dict[str, Any]) -> list[str]:
    costs = context["costs"]
    size = (
        f"Every entry has the fixed quantity {plain(spec.fixed_qty)} {instrument.base}."
        if spec.fixed_qty is not None
        else "A weight is turned into a quantity once, at the deciding bar's close, leaving room for fee, slippage "
        f"and {SIZING_BUFFER:%}."
    )
    return [
        "An order decided on a bar's close fills at the next bar's open; latency below one bar changes nothing.",
        f"Taker fee {costs['taker_fee_bps']} bp, maker fee {costs['maker_fee_bps']} bp, rounded against us.",
        f"Slippage {costs['slippage_bps']} bp on every order that takes, to the next worse tick.",
        "A limit order fills in full when a bar touches it, at the open if the bar opens beyond it; volume is not "
        "a limit.",
        "Inside a bar the pessimistic reading wins; on a bar that contradicts itself only the open is believed.",
        size,
        "At the end positions are marked at the last close, not sold; working orders expire.",
        "Ratios use 365 days a year and a risk-free rate of 0.",
    ]


def _warnings(dataset: BarDataset) -> list[str]:
    return [finding.says for finding in dataset.certificate.faults() if finding.grade != "A"]
