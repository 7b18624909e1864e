"""What does a result rest on? The settings of a run and the kinds of its data come in; sentences go out, each only
where it applies.
"""

from collections.abc import Collection, Sequence

from njord.core.config import BacktestConfig
from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, plain
from njord.portfolio.rebalance import SIZING_BUFFER
from njord.system import SystemSpec

_QUEUE = {
    "risk_averse": "only trades at our price move us forward in the queue",
    "probability": "cancels move us forward in the queue with the probability of standing before us",
}
_SELF_TRADE = {
    "none": "orders of this account may trade with one another",
    "expire_taker": "an order that would trade with one of this account is canceled",
    "expire_maker": "an order that would trade with one of this account cancels that one",
    "expire_both": "two orders of this account that would trade cancel each other",
}


def assumptions(spec: SystemSpec, settings: BacktestConfig, kinds: Collection[str]) -> list[str]:
    """Return the sentences of a run on data of these `kinds` (bars, trades, book)."""
    return [
        *_market(settings, kinds),
        *_costs(settings, kinds),
        *_account(spec, settings),
        _size(spec),
        "At the end positions are marked at the last close, not sold; working orders expire.",
        "Ratios use 365 days a year and a risk-free rate of 0.",
    ]


def _market(settings: BacktestConfig, kinds: Collection[str]) -> list[str]:
    said = []
    entry, response = settings.entry_latency_ns, settings.response_latency_ns
    if "bars" in kinds:
        said.append(
            "An order decided on a bar's close fills at the next bar's open; latency below one bar changes nothing."
        )
        said.append(
            "A limit order fills in full when a bar touches it, at the open if the bar opens beyond it; volume is not "
            "a limit."
            if not settings.max_volume_share
            else "A limit order fills when a bar touches it, at the open if the bar opens beyond it; our orders take at "
            f"most {100 * settings.max_volume_share:f} % of a bar's volume."
        )
        said.append(
            "Inside a bar the pessimistic reading wins; on a bar that contradicts itself only the open is believed."
        )
    if "trades" in kinds:
        book = "the recorded book and trades" if "book" in kinds else "recorded trades, without a book"
        parts = "in parts" if settings.partial_fills else "all at once"
        said.append(
            f"On ticks orders meet {book}; resting orders fill {parts}, and {_QUEUE[settings.queue_model]}."
        )
        said.append("Our own orders change nothing in the recorded market.")
    if settings.latency_model == "recorded":
        said.append("The way to the venue takes as long as the recording's feed delays, drawn by the seed.")
    if entry or response:
        said.append(
            f"A request reaches the venue after {entry / NS_PER_MS:g} ms, its answer is known after "
            f"{response / NS_PER_MS:g} ms."
        )
    return said


def _costs(settings: BacktestConfig, kinds: Collection[str]) -> list[str]:
    paid = "" if settings.fee_asset == "quote" else " A buyer pays in what was bought."
    if settings.fee_tiers:
        tiers = "; ".join(
            f"from {plain(tier.volume_notional)} on {plain(tier.taker_bps)} and {plain(tier.maker_bps)} bp"
            for tier in settings.fee_tiers
        )
        fees = f"Taker and maker fees by the volume of 30 days: {tiers}; rounded against us.{paid}"
    else:
        fees = f"Taker fee {settings.fee_bps:f} bp, maker fee {settings.maker_fee_bps:f} bp, rounded against us.{paid}"
    if "bars" not in kinds and "book" in kinds:
        return [
            fees,
            "An order that takes pays the levels of the book that it takes, and no slippage beyond.",
        ]
    slippage = f"Slippage {settings.slippage_bps:f} bp on every order that takes, to the next worse tick."
    if "book" in kinds:
        slippage += " On a book it pays the levels that it takes instead."
    if settings.slippage_model != "fixed" and "bars" in kinds:
        root = " the square root of" if settings.slippage_model == "square_root" else ""
        slippage += (
            f" Size adds {settings.impact_bps:f} bp times{root} the order's share of the bar's volume."
        )
    return [fees, slippage]


def _account(spec: SystemSpec, settings: BacktestConfig) -> list[str]:
    said = []
    if spec.account.kind == "margin":
        said.append(f"A margin account with leverage {plain(settings.leverage)}; borrowing costs nothing.")
    if spec.account.kind == "perpetual":
        said.append(
            f"Contracts settle in {spec.report_asset} with leverage {plain(settings.leverage)}, a maintenance margin of "
            f"{plain(settings.maintenance_margin_bps)} bp and a liquidation fee of "
            f"{plain(settings.liquidation_fee_bps)} bp; funding of {plain(settings.funding_bps)} bp every 8 hours."
        )
    if len(spec.strategies) > 1 or any(len(each.objects) > 1 for each in spec.strategies):
        said.append(f"Strategies share one account; {_SELF_TRADE[settings.self_trade]}.")
    return said


def _size(spec: SystemSpec) -> str:
    if spec.fixed_qty is None:
        return (
            "A weight is turned into a quantity once, at the deciding bar's close, leaving room for fee, slippage "
            f"and {SIZING_BUFFER:%}."
        )
    return f"Every entry has the fixed quantity {plain(spec.fixed_qty)} {_bases(spec.instruments)}."


def _bases(instruments: Sequence[Instrument]) -> str:
    return " or ".join(dict.fromkeys(instrument.base for instrument in instruments))
