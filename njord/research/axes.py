"""Which parameters vary, and over what? What was typed after `--param` in; axes, and the parameters that stay, out.

`fast=5:105:1` is a range without its end, `fast=5,10,20` a list, `fast=5` a parameter that all points share. Values are
text from here on, checked once against the strategy's own types.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, get_type_hints

import msgspec

from njord.backtest.request import Typed
from njord.core.errors import StrategyError
from njord.core.registry import nearest

VALUES_MAX = 1_000_000  # Of one axis.
EXAMPLE = "for example --param fast=5:105:1, or fast=5,10,20"


class Axis(msgspec.Struct, frozen=True):
    """One parameter that varies, and its values as text, in order."""

    name: str
    values: tuple[str, ...]


def parse_axes(texts: Sequence[str], strategy: Typed) -> tuple[tuple[Axis, ...], tuple[str, ...]]:
    """Return the axes, in the order they were typed, and the `key=value` texts of what does not vary.

    Raises:
        StrategyError: Not of that form, an unknown parameter, a range that does not fit, or a value that the strategy's
            type refuses.
    """
    axes: list[Axis] = []
    shared: list[str] = []
    types = get_type_hints(strategy.loaded.cls.Params)
    seen: set[str] = set()
    for text in texts:
        name, equals, typed = text.partition("=")
        name = name.strip().removeprefix(f"{strategy.strategy_id}.")
        if not equals:
            raise StrategyError(f"--param takes name=values, was {text!r}", EXAMPLE)
        if name not in strategy.loaded.cls.Params.__struct_fields__:
            known = strategy.loaded.cls.Params.__struct_fields__
            raise StrategyError(f"{strategy.strategy_id} has no parameter {name!r}", nearest(name, known))
        if name in seen:
            raise StrategyError(f"--param {name} is given twice", f"name all its values in one: {name}=5,10")
        seen.add(name)
        values = _values(name, typed.strip(), types[name])
        if len(values) == 1 and ":" not in typed:
            shared.append(f"{name}={values[0]}")
        else:
            axes.append(Axis(name, values))
    if not axes:
        raise StrategyError("no parameter varies", EXAMPLE)
    return tuple(axes), tuple(shared)


def numbers(axis: Axis) -> tuple[float, ...] | None:
    """Return the values of an axis as numbers; None if one is none."""
    try:
        return tuple(float(value) for value in axis.values)
    except ValueError:
        return None


def _values(name: str, typed: str, kind: Any) -> tuple[str, ...]:
    if ":" in typed and kind is not str:
        values = _range(name, typed)
    else:
        values = tuple(each.strip() for each in typed.split(","))
    if not all(values):
        raise StrategyError(f"--param {name}={typed} has an empty value", EXAMPLE)
    converted = [_converted(name, value, kind) for value in (values if ":" not in typed else values[:2])]
    for index, value in enumerate(converted):
        if value in converted[:index]:
            raise StrategyError(f"--param {name}={typed} names {values[index]} twice", "name it once")
    return values


def _range(name: str, typed: str) -> tuple[str, ...]:
    parts = typed.split(":")
    if len(parts) != 3:
        raise StrategyError(f"--param {name}={typed} is no range start:end:step", EXAMPLE)
    start, end, step = (_number(name, typed, part) for part in parts)
    if not step > 0:
        raise StrategyError(f"--param {name}={typed}: the step must be > 0, was {step:f}", EXAMPLE)
    if start >= end:
        raise StrategyError(
            f"--param {name}={typed} is empty: a range goes up to its end, without it",
            f"for example {name}={start:f}:{start + step:f}:{step:f}",
        )
    n_steps, rest = divmod(end - start, step)
    if rest:
        fits = start + step * (n_steps + 1)
        raise StrategyError(
            f"--param {name}={typed}: steps of {step:f} from {start:f} do not meet {end:f}",
            f"for example {name}={start:f}:{fits:f}:{step:f}",
        )
    if n_steps > VALUES_MAX:
        raise StrategyError(
            f"--param {name}={typed} has {n_steps:f} values, at most {VALUES_MAX:,} can vary",
            "take larger steps",
        )
    return tuple(f"{start + step * index:f}" for index in range(int(n_steps)))


def _number(name: str, typed: str, part: str) -> Decimal:
    try:
        number = Decimal(part.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise StrategyError(f"--param {name}={typed}: {part.strip()!r} is no number", EXAMPLE)
    return number


def _converted(name: str, value: str, kind: Any) -> Any:
    plain = None if value.lower() in ("none", "null") else value
    try:
        return msgspec.convert(plain, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        wanted = getattr(kind, "__name__", None) if isinstance(kind, type) else str(kind)
        raise StrategyError(f"--param {name} must be {wanted}, was {value!r}", EXAMPLE) from None
