"""Does a strategy's `decide` only compare? Its function in; whether Python says of it what the compiler would, bit for bit.

Loading a compiler takes half a second, longer than a short run. A function that compares its indicators and parameters
with each other and with numbers, and returns one of some whole numbers, has nothing that a compiler could do otherwise:
doubles are compared exactly, and nothing is computed. Anything else is compiled, also what would be safe to those who
looked closer.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from types import CodeType
from typing import Any, Final

from njord.kernels.fused_tables import KEEP

_EXACT_MAX: Final = 2**53  # Beyond, a double may be another number.
_LEVEL_MAX: Final = 127  # More is refused with words of its own.
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


@cache
def only_compares(decide: Callable[..., Any], n_values: int, n_params: int) -> bool:
    """Return whether `decide(now, values, state, params)` does nothing but compare values and parameters.

    Args:
        decide: As its author wrote it.
        n_values: How many indicators there are; a function that reaches beyond is not plain.
        n_params: How many parameters there are.
    """
    try:
        source = textwrap.dedent(inspect.getsource(decide))
        (function,) = ast.parse(source).body
    except (OSError, SyntaxError, ValueError):
        return False
    if not isinstance(function, ast.FunctionDef) or not _is_the_code(source, decide.__code__):
        return False
    names = [each.arg for each in function.args.args]
    if len(names) != 4 or function.args.defaults:
        return False
    keeps = decide.__globals__.get("KEEP") == KEEP and "KEEP" not in names
    return _is_plain(function.body, {names[1]: n_values, names[3]: n_params}, keeps)


# Whether the text on the disk is still what was loaded from it.
def _is_the_code(source: str, code: CodeType) -> bool:
    found = compile(source, code.co_filename, "exec").co_consts
    return any(
        (each.co_code, each.co_consts) == (code.co_code, code.co_consts)
        for each in found
        if isinstance(each, CodeType)
    )


# A block of statements of which the last one returns.
def _is_plain(body: list[ast.stmt], sizes: dict[str, int], keeps: bool) -> bool:
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # Its docstring.
    if not body or not isinstance(body[-1], ast.Return):
        return False
    for each in body:
        if isinstance(each, ast.Return):
            if not _is_level(each.value, sizes, keeps):
                return False
        elif not isinstance(each, ast.If) or not _is_plain_if(each, sizes, keeps):
            return False
    return True


def _is_plain_if(statement: ast.If, sizes: dict[str, int], keeps: bool) -> bool:
    if not _is_test(statement.test, sizes) or not _is_plain(statement.body, sizes, keeps):
        return False
    match statement.orelse:
        case []:
            return True
        case [ast.If() as otherwise]:
            return _is_plain_if(otherwise, sizes, keeps)
        case otherwise:
            return _is_plain(otherwise, sizes, keeps)


def _is_level(node: ast.expr | None, sizes: dict[str, int], keeps: bool) -> bool:
    if isinstance(node, ast.IfExp):
        branches = (node.body, node.orelse)
        return _is_test(node.test, sizes) and all(_is_level(each, sizes, keeps) for each in branches)
    if isinstance(node, ast.Name):
        return node.id == "KEEP" and keeps
    number = _number(node)
    return type(number) is int and abs(number) <= _LEVEL_MAX


def _is_test(node: ast.expr, sizes: dict[str, int]) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(_is_test(each, sizes) for each in node.values)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) and _is_test(node.operand, sizes)
    if not isinstance(node, ast.Compare):
        return False
    sides = (node.left, *node.comparators)
    return all(isinstance(each, _ORDERED) for each in node.ops) and all(
        _is_side(each, sizes) for each in sides
    )


# `values[0]`, `params[1]` or a number.
def _is_side(node: ast.expr, sizes: dict[str, int]) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        at = _number(node.slice)
        return type(at) is int and 0 <= at < sizes.get(node.value.id, 0)
    number = _number(node)
    return number is not None and abs(number) <= _EXACT_MAX


def _number(node: ast.expr | None) -> int | float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return None if isinstance(node.value, bool) else node.value
    return None
