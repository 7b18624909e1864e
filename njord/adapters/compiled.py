"""The fused loop for one strategy: the template's text and the strategy's function in, compiled functions out.

Numba finds machine code on disk again by the file that a function stands in. So the text of `kernels/fused.py`, or of
`kernels/fused_orders.py`, is written once for each strategy, into a file named by everything that its machine code
depends on; there the strategy's function has the name that the template calls, and the compiler can put it inside. The
compiler itself is loaded when the first of them is asked for: a strategy may be run without.
"""

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from njord.adapters.plain_decision import only_compares
from njord.strategies.base import Strategy
from njord.strategies.compiled import CompiledStrategy, Machine, SignalStrategy

if TYPE_CHECKING:
    from njord.strategies.compiled_orders import OrderMachine, OrderStrategy

_PAIRS = (
    "(columns[which[{}]], columns[which[{}]])",
    "(rows[{}][row], rows[{}][row])",
    "(values[{}], values[{}])",
)


def attach_if_compiled(cls: type[Strategy], source_hash: str) -> None:
    """Do what `attach` does to a compiled strategy's class, and nothing to any other."""
    if issubclass(cls, CompiledStrategy):
        attach(cls, source_hash)


def attach(cls: type[CompiledStrategy], source_hash: str) -> None:
    """Give a strategy's class the template with its own function inside; it is compiled when it is called.

    Args:
        cls: Defines `decide`.
        source_hash: Of the file that it stands in.
    """
    if cls.places_orders:

        @functools.cache
        def order_machine(n_indicators: int) -> "OrderMachine":
            from njord.kernels import fused_orders
            from njord.strategies.compiled_orders import OrderMachine

            module = _specialized(fused_orders, cls, source_hash, n_indicators)
            return OrderMachine(*(getattr(module, name) for name in OrderMachine._fields))

        cast("type[OrderStrategy]", cls).order_machine_of = staticmethod(order_machine)
        return

    @functools.cache
    def machine(n_indicators: int) -> Machine:
        from njord.kernels import fused

        module = _specialized(fused, cls, source_hash, n_indicators)
        return Machine(*(getattr(module, name) for name in Machine._fields))

    cls.machine_of = staticmethod(machine)
    if issubclass(cls, SignalStrategy):
        cls.is_plain_of = staticmethod(functools.partial(only_compares, cls.decide))


# The template as a module of its own, in which the strategy's function is the one that is called.
def _specialized(
    template: ModuleType,
    cls: type[CompiledStrategy],
    source_hash: str,
    n_indicators: int,
) -> Any:
    import numba

    text = _of_size(Path(str(template.__file__)).read_text(encoding="utf-8"), n_indicators)
    own = (cls.__module__, cls.__qualname__, source_hash)
    key = hashlib.sha256(repr((numba.__version__, _folder(), text, own)).encode()).hexdigest()[:24]
    module = _imported(f"njord_fused_{key}", _written(f"{key}.py", text))
    # Kept on disk with what it is compiled into, and not by itself: one file may be loaded under several names.
    module.decide = numba.njit(nogil=True, boundscheck=True)(cls.decide)
    return module


# The template with tuples of as many indicators as there are.
def _of_size(text: str, n_indicators: int) -> str:
    for pair in _PAIRS:
        one = pair[1:].partition(",")[0]
        items = "".join(f"{one.format(at)}, " for at in range(n_indicators)).rstrip()
        text = text.replace(pair.format(0, 1), f"({items})")
    return text


def _folder() -> str:
    from numba.core import config

    settings: Any = config
    return str(settings.CACHE_DIR)


# Written once and never again: Numba takes a changed time of the file for another text.
def _written(name: str, text: str) -> Path:
    for folder in (
        Path(_folder()) / "strategies",
        Path.home() / ".cache" / "njord" / "strategies",
    ):
        path = folder / name
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return path
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(draft, path)
            return path
        except OSError:
            continue
    path = Path(tempfile.mkdtemp(prefix="njord-")) / name
    path.write_text(text, encoding="utf-8")
    return path


def _imported(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} can not be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Any, module)
