"""The result of a backtest: one documented, stable structure behind the JSON, the terminal summary and the page.

Money, prices and quantities are decimal strings; ratios are numbers (null where undefined); times are nanoseconds
since the epoch, UTC. Nothing of the machine is in it: the same run gives the same bytes.
"""

from typing import Any

import msgspec

RESULT_SCHEMA = 1
CURVE_POINTS_MAX = 100_000


class ResultFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `ts_ns` is the venue's time: the bar's open, or its close for a fill inside the bar."""

    ts_ns: int
    side: str
    price: str
    qty: str
    fee: str
    fee_asset: str
    is_maker: bool
    symbol: str
    strategy_id: str
    order_no: int


class ResultOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order that did not end as filled."""

    order_no: int
    ts_ns: int
    symbol: str
    side: str
    type: str
    limit_price: str | None
    qty: str
    terminal: str


class ResultTrip(msgspec.Struct, frozen=True, kw_only=True):
    """One closed round trip, first in first out, net of fees."""

    side: str
    ts_open_ns: int
    ts_close_ns: int
    qty: str
    entry_price: str
    exit_price: str
    fees: str
    pnl: str
    return_fraction: float | None


class ResultOpenLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot still held at the end, at the last close."""

    side: str
    ts_open_ns: int
    qty: str
    entry_price: str
    fees: str
    unrealized_pnl: str


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a backtest says.

    Attributes:
        schema: Version of this structure; fields are only ever added within a version.
        run_id: Hash of everything that decides: the same inputs give the same id.
        synthetic: The market was generated, not recorded.
        strategy: Its id, name and parameters.
        instrument: Symbol, tick, lot, minima.
        data: Where the bars came from, their hash and range, their certificate, and how much bad time was run through.
        capital: Equity at the start, in `report_asset`.
        final_equity: Equity at the end, open positions at the last close.
        fees: Paid in total.
        slippage: Lost to the assumed slippage in total, beyond the fees.
        stats: Every ratio and count of `njord.performance.summary.Summary`.
        fills: Every execution, in order.
        unfilled_orders: Orders that ended otherwise than filled.
        round_trips: Closed round trips.
        open_lots: Positions at the end.
        refusals: Reason -> how many proposals and intents it refused before a venue saw them.
        endings: How orders ended, counted: filled, canceled/INSUFFICIENT_FUNDS and so on.
        order_list_hash: SHA-256 over all orders and fills.
        journal: Messages in the journal and the hash that stands for all of them.
        equity_curve: At most 100,000 [ts_ns, equity] pairs; the full curve is beside it as Parquet.
        equity_curve_file: Name of that file.
        assumptions: In sentences, what the result rests on.
        risk_profile: Name, and every rule with its parameters.
        warnings: What the user should look at first.
        seed: Of everything random in the run.
        config_hash: Of the whole configuration, secrets left out.
        code_hash: Of njord's own source files.
        error: Why the strategy was suspended; empty if it was not.
    """

    schema: int = RESULT_SCHEMA
    run_id: str
    njord_version: str
    synthetic: bool
    strategy: dict[str, Any]
    instrument: dict[str, Any]
    report_asset: str
    data: dict[str, Any]
    capital: str
    final_equity: str
    fees: str
    slippage: str
    stats: dict[str, Any]
    fills: list[ResultFill]
    unfilled_orders: list[ResultOrder]
    round_trips: list[ResultTrip]
    open_lots: list[ResultOpenLot]
    refusals: dict[str, int]
    endings: dict[str, int]
    order_list_hash: str
    journal: dict[str, Any]
    equity_curve: list[tuple[int, float]]
    equity_curve_file: str
    assumptions: list[str]
    risk_profile: dict[str, Any]
    costs: dict[str, str]
    warnings: list[str]
    seed: int
    config_hash: str
    code_hash: str
    error: str = ""
