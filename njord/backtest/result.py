"""The result of a backtest: one documented, stable structure behind the JSON, the terminal summary and the page.

Money, prices and quantities are decimal strings; ratios are numbers (null where undefined); times are nanoseconds
since the epoch, UTC. Nothing of the machine is in it: the same run gives the same bytes, but for `trial`, which says how
often its idea had been tried by then.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from njord.performance.findings import Finding

RESULT_SCHEMA = 2
CURVE_POINTS_MAX = 100_000
ORDERS_MAX = 4_000  # In the result; all of them are in the orders file.


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


class ResultOrder(msgspec.Struct, frozen=True):
    """One order and how it ended; a row of the orders file.

    Attributes:
        ts_ns: When it was approved and sent.
        strategy_id: Whose it was; `(venue)` for a liquidation.
        flags: `post_only`, `reduce_only`, and what it hangs together with.
        limit_price: As it was sent; null without one.
        trigger_price: Likewise.
        trail: How far a trailing stop stays behind, in quote.
        qty: As it was sent.
        filled: Quantity that was executed.
        avg_price: Of its fills, rounded to four decimals more than the tick has; null without one.
        fees: Paid on its fills, valued in quote.
        liquidity: `maker`, `taker`, `both`, or empty without a fill.
        accepted_ns: When the venue took it, its own time; null if it never did.
        first_fill_ns: Null without a fill.
        end_ns: Null while it works.
        terminal: `filled`, `canceled/IOC_REMAINDER`, ..., `liquidated`.
        why: The reason in words.
    """

    order_no: int
    ts_ns: int
    strategy_id: str
    symbol: str
    side: str
    type: str
    tif: str
    flags: list[str]
    limit_price: str | None
    trigger_price: str | None
    trail: str | None
    qty: str
    filled: str
    avg_price: str | None
    fees: str
    liquidity: str
    accepted_ns: int | None
    first_fill_ns: int | None
    end_ns: int | None
    terminal: str
    why: str


class ResultTrip(msgspec.Struct, frozen=True, kw_only=True):
    """One closed round trip of one strategy, first in first out, net of fees."""

    side: str
    ts_open_ns: int
    ts_close_ns: int
    qty: str
    entry_price: str
    exit_price: str
    fees: str
    pnl: str
    return_fraction: float | None
    symbol: str
    strategy_id: str


class ResultOpenLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot still held at the end, at the last price."""

    side: str
    ts_open_ns: int
    qty: str
    entry_price: str
    fees: str
    unrealized_pnl: str
    symbol: str
    strategy_id: str


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a backtest says.

    Attributes:
        schema: Version of this structure; fields are only ever added within a version.
        run_id: Hash of everything that decides: the same inputs give the same id.
        synthetic: The market was generated, not recorded.
        findings: What must be known first, in words, the most important first.
        poison: What replacing the future by noise has shown; null if it was not done.
        warm_up_check: What more history before the start has changed; null if it was not looked at.
        strategies: Of each its id, parameters, warm-up, symbols.
        instruments: Of each its symbol, tick, lot, minima.
        start_ns: When the first event begins.
        end_ns: When the last event is known.
        data: Of each dataset its name, hash and range, its certificate, and how much bad time was run through.
        capital: Equity at the start, in `report_asset`.
        final_equity: Equity at the end, open positions at the last price.
        fees: Paid in total, valued in `report_asset`; negative if rebates exceed them.
        slippage: Lost to the assumed slippage in total, beyond the fees.
        funding: Received in total, negative if paid.
        stats: Every ratio and count of `njord.performance.summary.Summary`.
        benchmark: Buy and hold over the same time, and what the run added to it.
        contributions: P&L by pair of strategy and symbol, by symbol, by strategy, and in all: it adds up exactly.
        maker_taker: Fills, notional and fees of those that waited and of those that took.
        queue: What became of resting orders; places in the queue are null where the venue tells none.
        turnover: Traded notional against mean equity.
        exposure: Time in the market by symbol and in all, and gross exposure as a fraction of equity.
        break_even: What the same fills could still bear in fees and slippage.
        fills: Every execution, in order.
        orders: The first 4,000 orders.
        n_orders: How many there were, liquidations included.
        n_never_filled: Of them, those that ended without a fill.
        orders_file: Name of the Parquet file of all orders.
        round_trips: Closed round trips.
        open_lots: Positions at the end.
        refusals: Reason -> how many proposals and intents it refused before a venue saw them.
        endings: How orders ended, counted: filled, canceled/INSUFFICIENT_FUNDS and so on.
        order_list_hash: SHA-256 over all orders and fills.
        journal: Messages in the journal and the hash that stands for all of them.
        equity_curve: At most 100,000 [ts_ns, equity] pairs; the full curve is beside it as Parquet.
        benchmark_curve: The benchmark's equity at the same times.
        equity_curve_file: Name of that file.
        assumptions: In sentences, what the result rests on.
        risk_profile: Name, and every rule with its parameters.
        warnings: What the user should look at first.
        seed: Of everything random in the run.
        config_hash: Of the whole configuration, secrets left out.
        code_hash: Of njord's own source files.
        error: Why a strategy was suspended; empty if none was.
        engine: What ran it: `name` (ordered or fast), `why_ordered` if the fast one was asked for and could not, `agrees`
            if both have run and left the same. A fast run has no journal.
        trial: Which trial of its idea the run is, and what is left of its Sharpe ratio once all of them are counted
            (`report`, as `njord.performance.assessment.SelectionReport` says); null if nobody counts.
    """

    schema: int = RESULT_SCHEMA
    run_id: str
    njord_version: str
    synthetic: bool
    findings: list[Finding]
    poison: dict[str, Any] | None
    warm_up_check: dict[str, Any] | None
    strategies: list[dict[str, Any]]
    instruments: list[dict[str, Any]]
    report_asset: str
    start_ns: int
    end_ns: int
    data: list[dict[str, Any]]
    capital: str
    final_equity: str
    fees: str
    slippage: str
    funding: str
    stats: dict[str, Any]
    benchmark: dict[str, Any]
    contributions: dict[str, Any]
    maker_taker: dict[str, Any]
    queue: dict[str, Any]
    turnover: dict[str, Any]
    exposure: dict[str, Any]
    break_even: dict[str, Any]
    fills: Sequence[ResultFill]
    orders: list[ResultOrder]
    n_orders: int
    n_never_filled: int
    orders_file: str
    round_trips: Sequence[ResultTrip]
    open_lots: list[ResultOpenLot]
    refusals: dict[str, int]
    endings: dict[str, int]
    order_list_hash: str
    journal: dict[str, Any]
    equity_curve: list[tuple[int, float]]
    benchmark_curve: list[float]
    equity_curve_file: str
    assumptions: list[str]
    risk_profile: dict[str, Any]
    costs: dict[str, str]
    warnings: list[str]
    seed: int
    config_hash: str
    code_hash: str
    error: str = ""
    engine: dict[str, Any] = {}
    trial: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """Which strategies ran on which symbols."""
        symbols = ", ".join(str(each["symbol"]) for each in self.instruments)
        return f"{', '.join(str(each['id']) for each in self.strategies)} on {symbols}"
