"""How is a parity told? The comparison in, lines for a terminal or a pipe out."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from njord.audit.parity import Largest, Parity
from njord.backtest.utc import at
from njord.core.units import plain

LARGEST_SHOWN = 5
_WIDTH = 14  # Of the first column.


def lines(parity: Parity) -> Iterator[str]:
    """Yield the lines that say what matched, what the gap is made of, and what to ask next."""
    so_far = "" if parity.complete else ", so far"
    yield (
        f"{parity.session} ({parity.kind}): {parity.n_rows:,} market events, {parity.n_messages:,} messages{so_far}"
    )
    if parity.changed:
        yield _row("changed", ", ".join(f"{key}={text}" for key, text in parity.changed.items()))
    if parity.data:
        yield _row("other data", ", ".join(parity.data))
    decisions = (parity.n_matched_decisions, parity.n_session_decisions, parity.n_backtest_decisions)
    fills = (parity.n_matched_fills, parity.n_session_fills, parity.n_backtest_fills)
    alike = f"; {parity.n_alike_decisions:,} alike" if parity.n_alike_decisions else ""
    yield _row("decisions", _matched(parity.decision_match_pct, *decisions) + alike)
    yield _row("fills", _matched(parity.fill_match_pct, *fills))
    asset = parity.report_asset
    yield _row(
        "P&L",
        f"session {plain(parity.session_pnl)} {asset}, backtest {plain(parity.backtest_pnl)} {asset}, "
        f"gap {_signed(parity.gap)} {asset}",
    )
    if not parity.is_match:
        yield from _gap(parity)
    for note in parity.notes:
        yield f"note: {note}"


def _gap(parity: Parity) -> Iterator[str]:
    parts = msgspec.structs.asdict(parity.parts)
    for name, part in parts.items():
        if part or name != "funding":
            yield _row(f"  {name.replace('_', ' ')}", _signed(part))
    if parity.first_difference:
        yield _row("first", parity.first_difference)
    for each in parity.largest[:LARGEST_SHOWN]:
        yield _row("largest", _largest(each))
    if parity.largest:
        yield f"next: {parity.largest[0].ask}"


def _largest(each: Largest) -> str:
    parts = msgspec.structs.asdict(each.parts)
    made = ", ".join(f"{name.replace('_', ' ')} {_signed(part)}" for name, part in parts.items() if part)
    if each.session is None:
        who = f"{each.backtest} of the backtest alone"
    elif each.backtest is None:
        who = f"{each.session} of the session alone"
    else:
        who = each.session
    return f"{_signed(each.total)}  {who}: {each.wish} {each.symbol} at {at(each.ts_ns)} ({made})"


def _row(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text}"


def _matched(percent: float, n_same: int, n_session: int, n_backtest: int) -> str:
    return (
        f"{percent:g} %, {n_same:,} the same of {n_session:,} in the session, {n_backtest:,} in the backtest"
    )


def _signed(amount: Decimal) -> str:
    text = plain(amount)
    return f"+{text}" if amount > 0 else text
