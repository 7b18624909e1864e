"""From what a run left behind to its result: exact totals, contributions, round trips, statistics, findings."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from njord.backtest.account_books import AccountBooks, account_books
from njord.backtest.assumptions import assumptions
from njord.backtest.equity import EquityRecorder
from njord.backtest.findings_input import with_findings
from njord.backtest.orders_table import order_rows
from njord.backtest.recorded import RecordedOrder
from njord.backtest.recorder import Recorder
from njord.backtest.reported import ReportedMarket
from njord.backtest.result import (
    CURVE_POINTS_MAX,
    ORDERS_MAX,
    BacktestResult,
    ResultOpenLot,
)
from njord.backtest.result_rows import FillsOf, TripsOf
from njord.backtest.run_data import data_of, data_warnings
from njord.backtest.samples import sampled_exposure
from njord.core.config import BacktestConfig
from njord.core.errors import InvariantError
from njord.core.instrument import Instrument
from njord.core.types import LIMIT, OrderReason, TimeInForce
from njord.core.units import EXACT, plain, ratio
from njord.performance.benchmark import compare
from njord.performance.contribution import (
    Contribution,
    by_instrument,
    by_strategy,
    in_all,
)
from njord.performance.exposure import Ranges, gross_exposure, share_of_time, union
from njord.performance.queue import QueueStatistics, RestingOrder, queue_statistics
from njord.performance.streaming import EquityStatistics
from njord.performance.summary import Summary, summarize, to_json_values
from njord.performance.trades import OpenLot
from njord.performance.turnover import break_even, turnover
from njord.risk.profile import describe
from njord.system import System, SystemSpec
from njord.venues.simulated import SimulatedVenue

EXPOSURE_POINTS_MAX = 2_000
_RESTS = frozenset({TimeInForce.GTC, TimeInForce.GTD})
_NEVER_WORKED = frozenset({OrderReason.POST_ONLY_WOULD_TAKE, OrderReason.ENTRY_ENDED})


class RunContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says of a run beyond what decided in it.

    Attributes:
        strategies: Of each `id`, `params`, `warm_up_bars`, `source_hash`, `symbols`.
        settings: The `backtest` section of the configuration.
        warnings: Of loading the strategies and reading the data.
        assumptions: Beyond those of the data and the settings, such as a shift of clocks.
    """

    version: str
    synthetic: bool
    strategies: tuple[dict[str, Any], ...]
    settings: BacktestConfig
    config_hash: str
    code_hash: str
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is left when the host has stopped."""

    system: System
    venue: SimulatedVenue
    recorder: Recorder
    equity: EquityRecorder
    statistics: EquityStatistics
    n_messages: int
    journal_head: str


def sum_up(spec: SystemSpec, market: ReportedMarket, outcome: Outcome, context: RunContext) -> BacktestResult:
    """Return the result of a run, findings included.

    Raises:
        InvariantError: Contributions or round trips and the ledger do not agree on the profit.
    """
    recorder, ledger = outcome.recorder, outcome.system.ledger
    final_equity = ledger.account.equity(ledger.mark_ticks)
    if final_equity is None:
        raise InvariantError("the run ended without a price for an open position")
    profit = EXACT.subtract(final_equity, spec.capital)
    marks = [each.price(ticks) for each, ticks in zip(spec.instruments, ledger.mark_ticks, strict=True)]
    books = account_books(spec, recorder, marks, profit)
    total = in_all(books.pairs)
    summary = _summary(spec, outcome, books, final_equity, total)
    mean_equity, hold = _read_curve(outcome)
    ts_ns, equity, benchmark = outcome.equity.sample(CURVE_POINTS_MAX)
    result = BacktestResult(
        run_id=spec.run_id,
        njord_version=context.version,
        synthetic=context.synthetic,
        findings=[],
        poison=None,
        warm_up_check=None,
        strategies=list(context.strategies),
        instruments=[_instrument(each) for each in spec.instruments],
        report_asset=spec.report_asset,
        start_ns=market.start_ns,
        end_ns=market.end_ns,
        data=data_of(market, recorder),
        capital=plain(spec.capital),
        final_equity=plain(final_equity),
        fees=plain(total.fees),
        slippage=plain(outcome.venue.slippage_paid),
        funding=plain(total.funding),
        stats=_json(summary),
        benchmark=_json(compare(outcome.statistics, hold, summary.ratio_basis)),
        contributions=_contributions(books.pairs, spec.instruments, profit),
        maker_taker=_json(books.split),
        queue=_queue(outcome),
        turnover=_json(turnover(total.traded_notional, mean_equity, outcome.statistics.elapsed_ns)),
        exposure=_exposure(market, outcome),
        break_even=_json(break_even(profit, books.split)),
        fills=FillsOf(recorder, spec.instruments),
        orders=list(order_rows(recorder.orders, spec.instruments, ORDERS_MAX)),
        n_orders=len(recorder.orders),
        n_never_filled=recorder.orders.n_never_filled(),
        orders_file="orders.parquet",
        round_trips=TripsOf(books.trips, spec.instruments),
        open_lots=[_lot(spec.instruments, marks, *each) for each in books.lots],
        refusals=dict(sorted(recorder.refusals.items())),
        endings=dict(sorted(recorder.endings.items())),
        order_list_hash=recorder.order_list_hash(),
        journal={"n_messages": outcome.n_messages, "head": outcome.journal_head},
        equity_curve=list(zip(ts_ns, equity, strict=True)),
        benchmark_curve=benchmark,
        equity_curve_file="equity.parquet",
        assumptions=_assumed(spec, market, context),
        risk_profile={"name": spec.risk_profile, "rules": describe(outcome.system.rules)},
        costs=_costs(context.settings),
        warnings=[*context.warnings, *data_warnings(market)],
        seed=context.settings.seed,
        config_hash=context.config_hash,
        code_hash=context.code_hash,
        error=recorder.suspended[0].error if recorder.suspended else "",
    )
    return with_findings(result)


def _summary(
    spec: SystemSpec, outcome: Outcome, books: AccountBooks, final_equity: Decimal, total: Contribution
) -> Summary:
    return summarize(
        outcome.statistics,
        books.trips,
        capital=spec.capital,
        final_equity=final_equity,
        fees=total.fees,
        n_fills=len(outcome.recorder.fills),
        exposure=outcome.equity.n_bars_invested / max(1, outcome.equity.n_points),
        interval_ns=outcome.statistics.interval_ns,
    )


# Mean equity, and the statistics of buy and hold, from one pass over the curve.
def _read_curve(outcome: Outcome) -> tuple[float, EquityStatistics]:
    run, total = outcome.statistics, 0.0
    hold = EquityStatistics(capital=run.capital, interval_ns=run.interval_ns)
    for ts_ns, equity, held in outcome.equity.batches():
        total += float(equity.sum())
        hold.update(ts_ns, held)
    n_points = outcome.equity.n_points
    return (total / n_points if n_points else math.nan), hold


def _json(value: msgspec.Struct) -> dict[str, Any]:
    plain_values = to_json_values(value)
    if not isinstance(plain_values, dict):
        raise InvariantError(f"{type(value).__name__} is a structure")
    return plain_values


def _contributions(
    pairs: Sequence[Contribution], instruments: Sequence[Instrument], profit: Decimal
) -> dict[str, Any]:
    def row(each: Contribution) -> dict[str, Any]:
        values = _json(each)
        index = values.pop("instrument")
        symbol = None if index is None else instruments[index].symbol
        of_profit = float(ratio(each.pnl, profit)) if profit else None
        return {"strategy_id": values.pop("strategy_id"), "symbol": symbol, **values, "share": of_profit}

    return {
        "pairs": [row(each) for each in pairs],
        "symbols": [row(each) for each in by_instrument(pairs)],
        "strategies": [row(each) for each in by_strategy(pairs)],
        "total": row(in_all(pairs)),
    }


def _queue(outcome: Outcome) -> dict[str, Any]:
    resting = [
        RestingOrder(
            qty_lots=order.asked_lots,
            filled_lots=sum(fill.qty_lots for fill in order.fills),
            accepted_ns=order.accepted_ns,
            first_fill_ns=order.fills[0].ts_venue_ns if order.fills else None,
            end_ns=order.end_ns,
            ahead_lots=outcome.venue.queue_ahead.get(order.client_order_id),
        )
        for order in outcome.recorder.orders.with_limit()
        if order.accepted_ns is not None and order.end_ns is not None and _rested(order)
    ]
    statistics: QueueStatistics = queue_statistics(resting)
    return _json(statistics)


# It waited in the book: priced, awake, not to be filled at once, and never had to take.
def _rested(order: RecordedOrder) -> bool:
    is_awake = order.type is LIMIT or (order.type.has_limit and order.triggered_ns is not None)
    never_worked = order.terminal.partition("/")[2] in _NEVER_WORKED
    return (
        is_awake and order.tif in _RESTS and not never_worked and all(fill.is_maker for fill in order.fills)
    )


def _exposure(market: ReportedMarket, outcome: Outcome) -> dict[str, Any]:
    recorder = outcome.recorder
    ts_list, equity, _ = outcome.equity.sample(EXPOSURE_POINTS_MAX)
    ts_ns = np.array(ts_list, dtype=np.int64)
    fractions = sampled_exposure(market, recorder.fills, ts_ns, np.array(equity, dtype=np.float64))
    held: list[Ranges] = [
        recorder.held_ranges(index, market.end_ns) for index in range(len(market.instruments))
    ]
    span = (market.start_ns, market.end_ns)
    return {
        "time_in_market": share_of_time(union(held), *span),
        "symbols": [
            {"symbol": instrument.symbol, "time_in_market": share_of_time(ranges, *span)}
            for instrument, ranges in zip(market.instruments, held, strict=True)
        ],
        "gross": _json(gross_exposure(ts_ns, fractions)),
        "curve": [
            (ts, round(value, 6))
            for ts, value in zip(ts_list, fractions.tolist(), strict=True)
            if value == value  # NaN: no equity left to compare with.
        ],
    }


def _instrument(instrument: Instrument) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(instrument, builtin_types=(Decimal,))
    return built | {"id": instrument.id}


def _lot(
    instruments: Sequence[Instrument], marks: Sequence[Decimal], strategy_id: str, lot: OpenLot
) -> ResultOpenLot:
    return ResultOpenLot(
        side=lot.side,
        ts_open_ns=lot.ts_open_ns,
        qty=plain(lot.qty),
        entry_price=plain(lot.entry_price),
        fees=plain(lot.fees),
        unrealized_pnl=plain(lot.unrealized_pnl(marks[lot.instrument])),
        symbol=instruments[lot.instrument].symbol,
        strategy_id=strategy_id,
    )


def _assumed(spec: SystemSpec, market: ReportedMarket, context: RunContext) -> list[str]:
    kinds = {source.kind for source in market.sources}
    of_data = [sentence for source in market.sources for sentence in source.assumptions]
    return list(dict.fromkeys([*of_data, *context.assumptions, *assumptions(spec, context.settings, kinds)]))


def _costs(settings: BacktestConfig) -> dict[str, str]:
    return {
        "taker_fee_bps": f"{settings.fee_bps:f}",
        "maker_fee_bps": f"{settings.maker_fee_bps:f}",
        "slippage_bps": f"{settings.slippage_bps:f}",
    }
