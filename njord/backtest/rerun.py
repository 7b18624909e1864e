"""How is a run made again, with a change? Its strategies as fresh objects, or their classes replaced by others."""

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from njord.backtest.simulation import Prepared
from njord.strategies.base import Strategy


def strategies_of(prepared: Prepared) -> Iterator[tuple[str, int, Strategy]]:
    """Yield id, instrument and a fresh object of every strategy of a run, by strategy and instrument."""
    for each in prepared.strategies:
        for index in each.instruments:
            yield each.strategy_id, index, each.loaded.cls(each.params)


def with_classes(prepared: Prepared, make: Callable[[str, type[Strategy]], type[Strategy]]) -> Prepared:
    """Return the run with the class that `make` gives for each strategy's id and class."""
    changed = [
        replace(each, loaded=replace(each.loaded, cls=make(each.strategy_id, each.loaded.cls)))
        for each in prepared.strategies
    ]
    return replace(prepared, strategies=tuple(changed))
