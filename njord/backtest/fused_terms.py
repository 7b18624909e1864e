"""Can the fused loop express a run, and in which whole numbers? A prepared run in, its terms out, or the reason why not.

One amount of money is the unit: every price x quantity, every fee and the capital are multiples of it. What is refused
here runs on the ordered engine, which knows no bounds; the reason names the rule or the setting.
"""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import numpy as np

from njord.backtest.simulation import Prepared
from njord.core.config import BacktestConfig
from njord.core.instrument import Instrument, exact
from njord.core.types import InstrumentKind
from njord.core.units import BPS, EXACT, exponent
from njord.kernels.fused_tables import MONEY_MAX, NO_LOTS, Cap, Levels, Terms
from njord.kernels.limits import NO_LIMIT, CapLimit, Limits
from njord.kernels.wide import DIVISOR_MAX
from njord.portfolio.rebalance import SIZING_BUFFER
from njord.risk.bounds import Unbounded, limits_of
from njord.risk.profile import build_rules
from njord.strategies.compiled import CompiledStrategy
from njord.strategies.features import BarColumns

_MONEY_RANGE = "MONEY_RANGE"


class NotFused(Exception):
    """The fused loop can not express a run: the text names the rule, the setting or the range."""


def fused_terms(prepared: Prepared, strategy: CompiledStrategy, highest_ticks: int) -> tuple[Terms, Levels]:
    """Return the terms of a run of one compiled strategy on the bars of one instrument.

    Args:
        prepared: The run.
        strategy: An object of its strategy.
        highest_ticks: The highest price of all bars.

    Raises:
        NotFused: A rule or setting has no meaning in the loop, or a number would leave its range.
    """
    for reason in _obstacles(prepared, strategy):
        raise NotFused(reason)
    spec, settings = prepared.spec, prepared.config.backtest
    instrument = spec.instruments[prepared.strategies[0].instruments[0]]
    scale = max(instrument.unit_scale, instrument.money_scale, exponent(spec.capital))
    unit = instrument.unit_multiple * 10 ** (scale - instrument.unit_scale)
    highest = highest_ticks * 2 + 1  # Slippage included.
    fee = Fraction(EXACT.multiply(settings.fee_bps, BPS))
    fee_step = 10 ** (scale - instrument.money_scale)
    slippage = Fraction(settings.slippage_bps) / 10_000
    may_short = spec.account.kind == "margin" or instrument.kind is not InstrumentKind.SPOT
    limits = _limits(prepared, instrument, scale, may_short)
    terms = Terms(
        unit=unit,
        capital=_whole(spec.capital, scale),
        n_levels=strategy.levels,
        lots_max=MONEY_MAX // (2 * highest * unit),
        min_lots=limits.min_lots,
        max_lots=min(limits.max_lots, NO_LIMIT),
        min_notional=min(limits.min_notional, NO_LIMIT),
        per_minute=min(limits.per_minute, NO_LIMIT),
        strategy_per_minute=min(limits.strategy_per_minute, NO_LIMIT),
        may_short=may_short,
        venue_may_short=may_short,
        slippage_numerator=slippage.numerator,
        slippage_denominator=slippage.denominator,
        fee_numerator=fee.numerator,
        fee_divisor=fee.denominator * fee_step,
        fee_step=fee_step,
        cost_numerator=limits.cost_numerator,
        cost_denominator=limits.cost_denominator,
        daily_loss=_within(limits.daily_loss),
        order_notional=_within(limits.order_notional),
        position=_within(limits.position),
        gross=_within(limits.gross),
    )
    _check(terms, highest)
    return terms, _levels(prepared, strategy, instrument, unit, highest)


def warm_bars(strategy: CompiledStrategy) -> int:
    """Return the bar, counted from 1, from which on a strategy's levels count."""
    return max(strategy.warm_up(), strategy.warm_from, 1)


def columns_range(columns: BarColumns) -> int:
    """Return the highest price of all bars, in ticks.

    Raises:
        NotFused: A price is no price.
    """
    if min(int(each.min()) for each in (columns.open, columns.low, columns.close)) < 1:
        raise NotFused("prices below one tick")
    return max(int(columns.high.max()), int(columns.open.max()), int(columns.close.max()))


# Every reason why not, the first one counts.
def _obstacles(prepared: Prepared, strategy: CompiledStrategy) -> Iterator[str]:
    spec, settings = prepared.spec, prepared.config.backtest
    if len(spec.instruments) != 1 or len(prepared.strategies) != 1:
        yield "several instruments or strategies"
    instrument = spec.instruments[0]
    if prepared.market.has_ticks(0):
        yield "trades or a book instead of bars"
    yield from _obstacles_of_settings(settings, prepared)
    if spec.account.kind == "perpetual":
        yield "account perpetual: funding and liquidation"
    if spec.account.leverage != 1:
        yield f"leverage {spec.account.leverage}"
    if instrument.filter_changes:
        yield "filters that change over time"
    if instrument.has_limits:
        yield "a venue's limits on market orders, open orders or prices"


def _obstacles_of_settings(settings: BacktestConfig, prepared: Prepared) -> Iterator[str]:
    if settings.fee_tiers:
        yield "fee_tiers"
    if settings.fee_asset != "quote" and prepared.spec.instruments[0].kind is InstrumentKind.SPOT:
        yield f"fee_asset {settings.fee_asset}"
    if settings.slippage_model != "fixed":
        yield f"slippage_model {settings.slippage_model}"
    if settings.max_volume_share:
        yield "max_volume_share"
    if settings.latency_model != "constant":
        yield f"latency_model {settings.latency_model}"
    interval_ns = prepared.market.sources[0].interval_ns
    if interval_ns and settings.entry_latency_ns >= interval_ns:
        yield "entry_latency_ns of a bar or more"


# What the rules ask of an order that the loop sends: always a plain one.
def _limits(prepared: Prepared, instrument: Instrument, scale: int, may_short: bool) -> Limits:
    spec = prepared.spec
    rules = build_rules(spec.risk_profile, spec.risk_rules)
    try:
        return limits_of(rules, instrument, scale, spec.cost_bps, may_short)
    except Unbounded as rule:
        raise NotFused(f"risk rule {rule}") from None


def _whole(amount: Decimal, scale: int) -> int:
    scaled = Fraction(amount) * 10**scale
    if scaled.denominator != 1 or abs(scaled) >= MONEY_MAX:
        raise NotFused(f"{_MONEY_RANGE}: {amount} is not a whole number of 1e-{scale} that int64 holds")
    return int(scaled)


# What is beyond all money of a run is as good as the end of int64's range.
def _within(cap: CapLimit) -> Cap:
    notional = min(cap.notional, NO_LIMIT)
    return Cap(cap.is_on, cap.has_notional, notional, cap.numerator, cap.denominator)


def _levels(
    prepared: Prepared, strategy: CompiledStrategy, instrument: Instrument, unit: int, highest: int
) -> Levels:
    n, spec = strategy.levels, prepared.spec
    lots, numerators, denominators = (np.zeros(2 * n + 1, np.int64) for _ in range(3))
    lots[:], denominators[:] = NO_LOTS, 1
    factor = 1 + Fraction(SIZING_BUFFER) + Fraction(spec.cost_bps) / 10_000
    for at in range(2 * n + 1):
        weight, qty = strategy.target(at - n)
        if qty is None and weight and spec.fixed_qty is not None:
            qty = spec.fixed_qty if weight > 0 else spec.fixed_qty.copy_negate()
        if qty is not None:
            lots[at] = instrument.lots(qty)
        elif weight:
            part = Fraction(exact(weight)) / (factor * unit)
            if part.denominator * highest >= DIVISOR_MAX or abs(part.numerator) >= 2**50:
                raise NotFused(f"{_MONEY_RANGE}: weight {weight} with these costs has too many digits")
            numerators[at], denominators[at] = part.numerator, part.denominator
        else:
            lots[at] = 0
    return Levels(lots, numerators, denominators)


def _check(terms: Terms, highest: int) -> None:
    caps = (terms.daily_loss, terms.order_notional, terms.position, terms.gross)
    small = [cap.numerator for cap in caps] + [cap.denominator for cap in caps]
    small += [terms.cost_numerator, terms.cost_denominator, abs(terms.fee_numerator)]
    if max(small) >= 2**48 or terms.fee_divisor >= DIVISOR_MAX or terms.lots_max < 1:
        raise NotFused(f"{_MONEY_RANGE}: a rate or a cap has too many digits, or a lot is worth too much")
    if highest * terms.slippage_numerator + terms.slippage_denominator >= 2**62:
        raise NotFused(f"{_MONEY_RANGE}: slippage_bps has too many digits")
