"""What may stand in one place only, and what must not stand in the pure part at all; found by reading the syntax tree.

import-linter guards what is imported; this guards what is called. Each finding says where, what, and what to do.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import njord

PACKAGE = Path(njord.__file__).parent
PURE = ("core", "kernels", "data", "performance", "strategies", "portfolio", "execution", "risk", "system.py")
# Statistics and signals are float by design; in these folders money is exact.
EXACT = ("core", "portfolio", "execution", "risk", "system.py")

DECISIONS = frozenset({"RiskDecision", "OrderEvent", "CancelEvent", "AmendEvent"})
DECISIONS_HOME = "risk/gate.py"
BROKER_CALLS = frozenset({"place", "cancel", "amend"})
BROKER_HOME = "execution/gateway.py"
VENUES = "venues/"  # A venue is a broker: inside, its parts hand requests on, and one venue may wrap another.
SIMULATED_SHELL = "simulation/shell.py"  # Stands where `venues/live_broker.py` stands, on a virtual clock.
EXCHANGE = "exchange/"  # The other side of the wire: its orders are those that arrive.
OUR_BOOKS = frozenset(
    {"self.amend", "working.amend"}
)  # `WorkingOrders.amend` follows a message, and sends nothing.
MONEY = (
    "price",
    "tick",
    "qty",
    "lots",
    "notional",
    "cash",
    "cost",
    "fee",
    "equity",
    "pnl",
    "balance",
    "capital",
)
CLOCKS = frozenset({"time", "datetime"})
ORDERED_CONSUMERS = frozenset(
    {"list", "tuple", "enumerate", "iter", "next", "map", "filter", "zip", "join", "extend"}
)
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})

Finding = tuple[int, str]
Check = Callable[[str, ast.AST], Iterator[Finding]]


def name_of(node: ast.AST) -> str:
    """The last part of a called or named thing: `place` of `self.broker.place`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_in(path: str, places: tuple[str, ...]) -> bool:
    return path.partition("/")[0] in places


# --- one home ----------------------------------------------------------------------------------------------------


def decisions_are_made_in_the_gate(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Only the gate says that an order is allowed."""
    if path == DECISIONS_HOME:
        return
    advice = f"only njord/{DECISIONS_HOME} decides: send an OrderIntent or CancelIntent instead"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            made = name_of(node.func)
            if made in DECISIONS:
                yield node.lineno, f"makes a {made}; {advice}"
            made = name_of(node.args[0]) if node.args else ""
            if name_of(node.func) in ("convert", "partial", "replace") and made in DECISIONS:
                yield node.lineno, f"makes a {made} by {name_of(node.func)}(); {advice}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in DECISIONS and alias.asname not in (None, alias.name):
                    yield (
                        node.lineno,
                        f"imports {alias.name} under another name, which hides who makes one; {advice}",
                    )
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            value = node.value
            if isinstance(value, (ast.Name, ast.Attribute)) and name_of(value) in DECISIONS:
                yield node.lineno, f"gives {name_of(value)} another name, which hides who makes one; {advice}"


def brokers_are_called_by_the_gateway(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Only the gateway sends anything to a venue."""
    if path in (BROKER_HOME, SIMULATED_SHELL) or path.startswith((VENUES, EXCHANGE)):
        return
    advice = f"only njord/{BROKER_HOME} calls a broker: hand it the gate's OrderEvent or CancelEvent"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in BROKER_CALLS:
            if ".".join(dotted(node.func).split(".")[-2:]) in OUR_BOOKS:
                continue
            if node.func.attr == "cancel" and not node.args and not node.keywords:
                continue  # A task's: a broker's takes a request.
            yield node.lineno, f"calls .{node.func.attr}(); {advice}"
        elif name_of(node.func) == "getattr" and len(node.args) > 1:
            reached = node.args[1]
            if isinstance(reached, ast.Constant) and reached.value in BROKER_CALLS:
                yield node.lineno, f"reaches for {reached.value!r} by getattr(); {advice}"


# It reads the kernels' sources once, to name the folder of their machine code; it decides nothing.
COMPILER = "kernels/_jit.py"

# --- the pure part ------------------------------------------------------------------------------------------------


def nothing_is_asked_of_the_machine(path: str, tree: ast.AST) -> Iterator[Finding]:
    """No files, clocks, chance, or hash() where decisions are made."""
    if not is_in(path, PURE) or path == COMPILER:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called == "open" or called.endswith(
                (".open", ".read_text", ".read_bytes", ".write_text", ".write_bytes")
            ):
                yield (
                    node.lineno,
                    f"calls {called}(): files are an edge's work; take the content as an argument",
                )
            if called == "hash":
                yield (
                    node.lineno,
                    "calls hash(): it differs from process to process; use hashlib over canonical bytes",
                )
            if called in ("id", "input", "eval", "exec", "print", "__import__"):
                yield node.lineno, f"calls {called}(): a decision may depend on messages alone"
            if name_of(node.func) in ("default_rng", "SeedSequence"):
                yield node.lineno, f"calls {called}(): chance is handed in as a seeded generator"
        elif isinstance(node, ast.Attribute) and dotted(node).startswith(("np.random", "numpy.random")):
            yield node.lineno, "uses numpy.random: chance is handed in as a seeded generator"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _imported(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from _imported(node.lineno, node.module or "")
            if node.module == "numpy" and any(alias.name == "random" for alias in node.names):
                yield from _imported(node.lineno, "numpy.random")


def _imported(line: int, module: str) -> Iterator[Finding]:
    if module.partition(".")[0] in CLOCKS:
        yield line, f"imports {module}: time comes in as the ts_ns of a message; a clock is an adapter"
    if module.startswith("numpy.random"):
        yield line, "imports numpy.random: chance is handed in as a seeded generator"


def no_order_comes_from_a_set(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Iterating over a set follows PYTHONHASHSEED."""
    if not is_in(path, PURE):
        return
    advice = (
        "a set has no order of its own, and the next process has another: iterate over sorted(...) or a dict"
    )
    for node in ast.walk(tree):
        looped: list[ast.expr] = []
        if isinstance(node, (ast.For, ast.comprehension)):
            looped = [node.iter]
        elif isinstance(node, ast.Call) and name_of(node.func) in ORDERED_CONSUMERS:
            looped = list(node.args)
        elif isinstance(node, ast.Starred):
            looped = [node.value]
        for iterated in looped:
            if is_set(iterated):
                yield iterated.lineno, f"iterates over a set; {advice}"


def is_set(node: ast.expr) -> bool:
    """Whether an expression is a set by its look: a literal, a comprehension, set(), a set method, a union of such."""
    if isinstance(node, (ast.Set, ast.SetComp)):
        return True
    if isinstance(node, ast.Call):
        return name_of(node.func) in {"set", "frozenset"} | SET_METHODS
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)):
        return is_set(node.left) or is_set(node.right)
    return False


def money_is_never_made_a_float(path: str, tree: ast.AST) -> Iterator[Finding]:
    """float() of an amount loses units; Instrument has the doors for signals and charts."""
    if not is_in(path, EXACT):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("float", "np.float64", "numpy.float64"):
            argument = ast.unparse(node.args[0]) if node.args else ""
            if any(word in argument.lower() for word in MONEY):
                yield (
                    node.lineno,
                    f"calls float({argument}): amounts stay int or Decimal here; for signals and charts use "
                    "Instrument.price_float or qty_float",
                )


CHECKS: tuple[Check, ...] = (
    decisions_are_made_in_the_gate,
    brokers_are_called_by_the_gateway,
    nothing_is_asked_of_the_machine,
    no_order_comes_from_a_set,
    money_is_never_made_a_float,
)


@cache
def parsed(source: str) -> ast.Module:
    """Return the tree of a source, parsed once for all checks."""
    return ast.parse(source)


def findings(check: Check, path: str, source: str) -> list[str]:
    return [f"njord/{path}:{line}: {text}" for line, text in check(path, parsed(source))]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_njord_keeps_this_rule_everywhere(check: Check) -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        found += findings(check, path.relative_to(PACKAGE).as_posix(), path.read_text())
    assert not found, "\n".join(["", *found])


# A line, the folder it is planted in, and the check that must see it.
PLANTED: list[tuple[str, str, Check]] = [
    ("OrderEvent(ts_ns=1)", "strategies/x.py", decisions_are_made_in_the_gate),
    ("contracts.RiskDecision(allowed=True)", "cli/x.py", decisions_are_made_in_the_gate),
    ("x = [CancelEvent(ts_ns=1)]", "execution/gateway.py", decisions_are_made_in_the_gate),
    ("from njord.core.contracts import OrderEvent as Fine", "portfolio/x.py", decisions_are_made_in_the_gate),
    ("Fine = OrderEvent", "portfolio/x.py", decisions_are_made_in_the_gate),
    ("msgspec.convert(OrderEvent, {})", "apps/x.py", decisions_are_made_in_the_gate),
    ("self.broker.place(req)", "strategies/x.py", brokers_are_called_by_the_gateway),
    ("venue.cancel(req)", "backtest/runner.py", brokers_are_called_by_the_gateway),
    ("broker().place(req)", "apps/x.py", brokers_are_called_by_the_gateway),
    ("broker.amend(req)", "execution/oms.py", brokers_are_called_by_the_gateway),
    ("AmendEvent(ts_ns=1)", "execution/oms.py", decisions_are_made_in_the_gate),
    ("getattr(broker, 'place')(req)", "apps/x.py", brokers_are_called_by_the_gateway),
    ("open('f')", "core/x.py", nothing_is_asked_of_the_machine),
    ("path.read_text()", "risk/x.py", nothing_is_asked_of_the_machine),
    ("hash('x')", "execution/x.py", nothing_is_asked_of_the_machine),
    ("np.random.normal()", "kernels/x.py", nothing_is_asked_of_the_machine),
    ("from numpy import random", "performance/x.py", nothing_is_asked_of_the_machine),
    ("from numpy.random import normal", "performance/x.py", nothing_is_asked_of_the_machine),
    ("rng = np.random.default_rng()", "portfolio/x.py", nothing_is_asked_of_the_machine),
    ("import time", "system.py", nothing_is_asked_of_the_machine),
    ("from datetime import datetime", "strategies/library/x.py", nothing_is_asked_of_the_machine),
    ("for x in {1, 2}: pass", "core/x.py", no_order_comes_from_a_set),
    ("for x in set(y): pass", "risk/rules/x.py", no_order_comes_from_a_set),
    ("[x for x in {y for y in z}]", "portfolio/x.py", no_order_comes_from_a_set),
    ("list(frozenset(y))", "execution/x.py", no_order_comes_from_a_set),
    ("tuple(a.union(b))", "execution/x.py", no_order_comes_from_a_set),
    ("for x in set(a) - b: pass", "strategies/x.py", no_order_comes_from_a_set),
    ("','.join({'a'})", "core/x.py", no_order_comes_from_a_set),
    ("[*{1}]", "system.py", no_order_comes_from_a_set),
    ("float(price)", "risk/x.py", money_is_never_made_a_float),
    ("float(fill.price_ticks) * 0.1", "portfolio/x.py", money_is_never_made_a_float),
    ("np.float64(account.cash)", "core/x.py", money_is_never_made_a_float),
]


@pytest.mark.parametrize(("line", "path", "check"), PLANTED)
def test_a_planted_violation_is_found_with_its_place_and_its_remedy(
    line: str, path: str, check: Check
) -> None:
    (first, *_) = findings(check, path, f'"""A module."""\n\n{line}\n')
    where, _, advice = first.partition(": ")
    assert where == f"njord/{path}:3"
    assert len(advice) > 30


INNOCENT: list[tuple[str, str]] = [
    ("OrderEvent(ts_ns=1)", "risk/gate.py"),
    ("isinstance(message, OrderEvent)", "execution/oms.py"),
    ("table = {OrderEvent: self._on_order}", "execution/oms.py"),
    ("self._broker.place(req)", "execution/gateway.py"),
    ("place = 3", "strategies/x.py"),
    ("self.working.amend(event)", "risk/gate.py"),
    ("self._inner.place(req)", "venues/emulated.py"),
    ("open('f')", "storage/x.py"),
    ("import time", "adapters/clock.py"),
    ("for x in sorted({1, 2}): pass", "core/x.py"),
    ("1 in {1, 2}", "core/x.py"),
    ("len(set(x))", "risk/x.py"),
    ("for x in {1: 2}: pass", "core/x.py"),
    ("float(window)", "risk/x.py"),
    ("float(equity)", "performance/x.py"),
]


@pytest.mark.parametrize(("line", "path"), INNOCENT)
def test_what_is_allowed_is_not_found(line: str, path: str) -> None:
    assert [each for check in CHECKS for each in findings(check, path, line)] == []
