"""Finding strategies: by name in the library, by entry point, or by a path to a file. A broken file is an error.

A file's strategy class is the one `Strategy` subclass that it defines itself. Nothing is skipped in silence: a file
that fails to import stops the command, with its path and line.
"""

import ast
import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import msgspec

from njord.core.errors import StrategyError
from njord.core.registry import nearest
from njord.strategies import library
from njord.strategies.base import Strategy

ENTRY_POINTS = "njord.strategies"
_COMPILED = "njord.strategies.compiled"

# What a strategy must not ask of the machine: it would decide differently the next time.
_IMPURE_MODULES = frozenset(
    {"asyncio", "datetime", "multiprocessing", "os", "random", "requests", "secrets", "socket", "subprocess"}
    | {"threading", "time", "urllib", "uuid"}
)
_IMPURE_CALLS = frozenset({"open", "hash", "input", "eval", "exec"})


class LoadedStrategy(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy class, where it came from, and what a look at its source says."""

    name: str
    cls: type[Strategy]
    path: Path
    source_hash: str
    warnings: tuple[str, ...]


def strategy_names() -> list[str]:
    """Return the names that need no path: the library's and those of installed packages."""
    shipped = [module.name for module in pkgutil.iter_modules(library.__path__)]
    return sorted({*shipped, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def load_strategy(reference: str) -> LoadedStrategy:
    """Return the strategy that `reference` names: a library name, an entry point, or a path to a .py file.

    Raises:
        StrategyError: There is none, it does not import, or it does not hold exactly one strategy.
    """
    if reference.endswith(".py") or "/" in reference or "\\" in reference:
        return _from_file(Path(reference))
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == reference:
            module_name = point.module
            return _inspect(reference, _import(module_name, reference))
    if reference in strategy_names():
        return _inspect(reference, _import(f"{library.__name__}.{reference}", reference))
    if Path(f"{reference}.py").is_file():
        return _from_file(Path(f"{reference}.py"))
    remedy = f"{nearest(reference, strategy_names())} A file needs its path: ./{reference}.py"
    raise StrategyError(f"no strategy is called {reference!r}", remedy)


def _import(module_name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        raise StrategyError(
            f"strategy {reference} ({module_name}) does not import: {_where(error)}"
        ) from None


def _from_file(path: Path) -> LoadedStrategy:
    if not path.is_file():
        raise StrategyError(
            f"no strategy file at {path}", "create one with: njord new my_strategy --from sma_cross"
        )
    name = path.stem
    spec = importlib.util.spec_from_file_location(f"njord_user_strategy_{name}", path)
    if spec is None or spec.loader is None:
        raise StrategyError(f"{path} is not a Python file", "a strategy is one .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    source = path.read_bytes()
    # Compiled here and now: Python's cache of bytecode knows a file by its size and the second of its last change, and
    # would run the file as it was before a quick edit.
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except Exception as error:
        raise StrategyError(f"{path} does not import: {_where(error)}", "correct the file") from None
    return _inspect(name, module, source)


def _inspect(name: str, module: ModuleType, source: bytes | None = None) -> LoadedStrategy:
    path = Path(module.__file__ or "")
    source = path.read_bytes() if source is None else source
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        found = ", ".join(cls.__name__ for cls in own) or "none"
        raise StrategyError(f"{path} must define exactly one Strategy subclass, it defines {found}")
    source_hash = hashlib.sha256(source).hexdigest()
    if any(base.__module__ == _COMPILED for base in own[0].__mro__):
        from njord.adapters.compiled import attach_if_compiled

        attach_if_compiled(own[0], source_hash)
    return LoadedStrategy(
        name=name,
        cls=own[0],
        path=path,
        source_hash=source_hash,
        warnings=tuple(_impurities(source.decode(errors="replace"), path.name)),
    )


def _where(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"


# By file name alone: the warnings join the result, which holds nothing of the machine.
def _impurities(source: str, name: str) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _IMPURE_CALLS:
            found.append(
                f"{name}:{node.lineno} calls {node.func.id}(): its result can differ from run to run"
            )
            continue
        else:
            continue
        found += [
            f"{name}:{node.lineno} imports {module}: a strategy that asks the machine can decide differently next time"
            for module in names
            if module in _IMPURE_MODULES
        ]
    return found
