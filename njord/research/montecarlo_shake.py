"""What may be other than it was when a run is run again? Texts as they were typed in; the terms of each path out.

What a path draws follows from the seed and its own number, in one fixed order: slippage, delay, parameters.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from njord.backtest.request import PreparedStrategy
from njord.core.errors import ConfigError
from njord.core.registry import nearest

_MS_MAX = 86_400_000.0
_BPS_MAX = 10_000.0


class Jitter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter that is drawn anew for each path, evenly around its value.

    Attributes:
        strategy_id: Whose; empty = of every strategy that has it.
        spread: How far it goes to each side: a fraction of the value if `is_relative`, else in its own unit.
    """

    strategy_id: str
    name: str
    spread: float
    is_relative: bool


class Shake(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from path to path.

    Attributes:
        jitter: Parameters.
        delay_ms: (least, most) delay on top of the run's own latency: of each order on ticks, of all of a path's on bars.
        slippage_bps: (least, most) slippage of orders that take, in place of the run's own.
        block: Mean length of the blocks in which bars are drawn; 0 = the market is as it was.
    """

    jitter: tuple[Jitter, ...] = ()
    delay_ms: tuple[float, float] | None = None
    slippage_bps: tuple[float, float] | None = None
    block: float = 0.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one path has drawn."""

    slippage_bps: Decimal | None
    delay_ns: int
    delays_ns: tuple[int, int] | None
    values: tuple[dict[str, Any], ...]  # Of each strategy the parameters that differ.
    seed: int


def parse_jitter(texts: Sequence[str]) -> tuple[Jitter, ...]:
    """Return what `[ID.]NAME=SPREAD` texts mean; a SPREAD such as 10% is relative, such as 2 in the parameter's unit.

    Raises:
        ConfigError: One is not of that form.
    """
    found = []
    for text in texts:
        key, _, amount = text.partition("=")
        owner, dot, name = key.strip().rpartition(".")
        is_relative = amount.strip().endswith("%")
        spread = _number(amount.strip().removesuffix("%"))
        if (
            not name
            or (dot and not owner)
            or spread is None
            or not spread > 0
            or (is_relative and spread > 100)
        ):
            raise ConfigError(
                f"--jitter takes name=10% or name=2, was {text:.60}", "for example --jitter fast=10%"
            )
        spread = spread / 100 if is_relative else spread
        found.append(Jitter(strategy_id=owner, name=name, spread=spread, is_relative=is_relative))
    return tuple(found)


def parse_range(flag: str, text: str | None) -> tuple[float, float] | None:
    """Return what `MOST` or `LEAST:MOST` means; the least is 0 if not given.

    Raises:
        ConfigError: It is none, negative, or more than a day of delay or 10,000 bps.
    """
    if text is None:
        return None
    low_text, colon, high_text = text.rpartition(":")
    low, high = _number(low_text) if colon else 0.0, _number(high_text)
    most = _MS_MAX if flag == "--delays" else _BPS_MAX
    if low is None or high is None or not 0 <= low <= high <= most or high == 0:
        raise ConfigError(
            f"{flag} takes MOST or LEAST:MOST from 0 to {most:,.0f}, was {text:.60}",
            f"for example {flag} 2:20",
        )
    return low, high


def checked(jitter: Sequence[Jitter], strategies: Sequence[PreparedStrategy]) -> None:
    """Refuse jitter of what is no number of any strategy.

    Raises:
        ConfigError: A strategy or a parameter is unknown, or its value is no number or none.
    """
    for each in jitter:
        owners = [one for one in strategies if each.strategy_id in ("", one.strategy_id)]
        if not owners:
            raise ConfigError(
                f"--jitter is for {each.strategy_id!r}, which is no strategy of the run",
                nearest(each.strategy_id, [one.strategy_id for one in strategies]),
            )
        values = [getattr(one.params, each.name) for one in owners if hasattr(one.params, each.name)]
        if not values:
            known = sorted({name for one in owners for name in one.params.__struct_fields__})
            raise ConfigError(
                f"--jitter {each.name}: no strategy has that parameter", nearest(each.name, known)
            )
        if not all(_is_number(value) for value in values):
            raise ConfigError(
                f"--jitter {each.name}: its value is {values[0]!r}, which is no number",
                "jitter another parameter",
            )


def terms_of(shake: Shake, strategies: Sequence[PreparedStrategy], seed: int, path: int) -> Terms:
    """Return what a path draws."""
    random = np.random.default_rng([seed, path])
    slippage = shake.slippage_bps
    bps = None if slippage is None else Decimal(f"{random.uniform(*slippage):.4f}")
    delay = shake.delay_ms
    delay_ns = 0 if delay is None else int(random.uniform(*delay) * 1e6)
    values: list[dict[str, Any]] = [{} for _ in strategies]
    for jitter in shake.jitter:
        for number, strategy in enumerate(strategies):
            if jitter.strategy_id in ("", strategy.strategy_id) and hasattr(strategy.params, jitter.name):
                value = getattr(strategy.params, jitter.name)
                values[number][jitter.name] = _jittered(value, jitter, float(random.uniform(-1.0, 1.0)))
    return Terms(
        slippage_bps=bps,
        delay_ns=delay_ns,
        delays_ns=None if delay is None else (int(delay[0] * 1e6), int(delay[1] * 1e6)),
        values=tuple(values),
        seed=int(random.integers(2**62)),
    )


# Whole numbers stay whole: each of those within reach is as likely as the others.
def _jittered(value: Any, jitter: Jitter, at: float) -> Any:
    reach = abs(float(value)) * jitter.spread if jitter.is_relative else jitter.spread
    if isinstance(value, int):
        whole = math.floor(reach)
        return value + min(whole, math.floor((at + 1) / 2 * (2 * whole + 1)) - whole)
    moved = float(value) + at * reach
    return Decimal(f"{moved:.12g}") if isinstance(value, Decimal) else moved


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
