"""Every golden by name, and how its story is told."""

from collections.abc import Callable
from functools import partial

from tests.golden import accounts, costs, limits, links, order_types, several, shipped, ticks, validity
from tests.golden.algorithm import GOLDENS
from tests.golden.host import tell

_REGISTERED_BY = (order_types, validity, links, costs, accounts, limits, several, ticks)

STORIES: dict[str, Callable[[], list[str]]] = {
    **{name: partial(tell, golden) for name, golden in GOLDENS.items()},
    **shipped.STORIES,
}
