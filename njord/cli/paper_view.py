"""The live picture of a session: what a person wants to see at a glance, in 80 columns or more.

Comes in: the node's `NodeStatus`, and what does not change while it runs. Goes out: a rich renderable with at most as
many lines as the terminal has. What matters most stands first, and decisions take the lines that are left.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from njord.apps.status import NodeStatus
from njord.backtest.page_text import duration
from njord.cli.paper_events import clock, unknown_part, unknown_words
from njord.core.types import TradingState
from njord.core.units import NS_PER_S, plain
from njord.risk.rules.base import LimitUse

WIDE = 120  # From here on there are two columns.
_ROWS_MAX = 8  # Of positions and of working orders.
_LIMITS_MAX = 6
_BAR = 10
_NEAR = 0.8  # Of a limit; from here on it is shown in yellow.
_OLD_S = 10.0  # A feed that has been silent for longer is shown in red.
_SMALL = Decimal("0.01")
_SWITCH = {
    TradingState.ACTIVE: "bold green",
    TradingState.REDUCE_ONLY: "bold black on yellow",
    TradingState.HALTED: "bold white on red",
}
_MEANS = {TradingState.HALTED: "not trading", TradingState.REDUCE_ONLY: "only closing"}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a session runs, and what only the screen knows.

    Attributes:
        title: What runs.
        asset: Of all money shown.
        symbols: Of the instruments.
        unit: What rows are called.
        stop: What a stop does, in words.
        bus: The state of what publishes; empty without Redis.
        left_s: How long it will take at this pace; None where no end is in sight.
        notice: What the feed said last.
    """

    title: str = "njord paper"
    asset: str
    symbols: tuple[str, ...]
    unit: str
    stop: str
    bus: str = ""
    left_s: float | None = None
    notice: str = ""


def picture(status: NodeStatus, facts: Facts, width: int, height: int) -> RenderableType:
    """Return the picture of a session for a terminal of that size."""
    head: list[RenderableType] = [
        _title(status, facts),
        _progress(status, facts),
        _counts(status, facts),
        _account(status, facts),
    ]
    if status.kill is not TradingState.ACTIVE:
        head.insert(
            1,
            Text(
                f"{_MEANS[status.kill]}: {status.kill_reason}", style="red", no_wrap=True, overflow="ellipsis"
            ),
        )
    foot = Text(f"Ctrl-C stops: {facts.stop}{facts.bus}", style="dim", no_wrap=True, overflow="ellipsis")
    for order in status.unknown[:_ROWS_MAX]:
        said = unknown_words(unknown_part(order, status.wall_ns))
        head.append(Text(said, style="bold red", no_wrap=True, overflow="ellipsis"))
    if facts.notice:
        head.append(Text(f"feed  {facts.notice}", style="yellow", no_wrap=True, overflow="ellipsis"))
    room = height - len(head) - 2  # One line stays free for the cursor.
    first: list[Table] = [_held(status), *_working(status)]
    limits = _limits(status, facts.symbols)
    if width >= WIDE:
        second = [limits, _decisions(status, room - _lines([limits]) - 3)]
        room -= max(_lines(first), _lines(second))
        body = Table.grid(expand=True, padding=(0, 3, 0, 0))
        body.add_column(ratio=1)
        body.add_column(ratio=1)
        body.add_row(Group(*_apart(first, room - 2)), Group(*_apart(second, room - 2)))
        return Group(*_apart([Group(*head), body, foot], room))
    sections: list[Table] = [*first, limits]
    sections.append(_decisions(status, room - _lines(sections) - 1))
    return Group(*_apart([Group(*head), *sections, foot], room - _lines(sections)))


def _lines(sections: Sequence[Table]) -> int:
    return sum(section.row_count + 1 for section in sections)


# Air between parts, where there is room for it.
def _apart(parts: Sequence[RenderableType], room: int) -> list[RenderableType]:
    spaced: list[RenderableType] = []
    for number, part in enumerate(parts):
        if 0 < number <= room:
            spaced.append("")
        spaced.append(part)
    return spaced


def _title(status: NodeStatus, facts: Facts) -> Table:
    line = Table.grid(expand=True, padding=(0, 1, 0, 0))
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    switch = Text.assemble("kill switch ", (f" {status.kill.upper()} ", _SWITCH[status.kill]))
    line.add_row(Text.assemble((f"{facts.title}  ", "bold"), status.session), switch)
    return line


def _progress(status: NodeStatus, facts: Facts) -> Table:
    line = Table.grid(expand=True, padding=(0, 1, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    now = Text(f"{clock(status.now_ns).replace('T', ' '):<19}", style="bold")
    if not status.n_rows_total:
        line.add_row(now, "", "live")
        return line
    speed = "at full speed" if status.speed is None else f"{status.speed:g}x"
    share = status.n_rows / status.n_rows_total
    bar = ProgressBar(total=status.n_rows_total, completed=status.n_rows, complete_style="cyan")
    left = "" if facts.left_s is None else f", {duration(int(facts.left_s) * NS_PER_S)} left"
    line.add_row(now, bar, Text(f"{share:.1%}{left}, {speed}"))
    return line


def _counts(status: NodeStatus, facts: Facts) -> Text:
    total = f" of {status.n_rows_total:,}" if status.n_rows_total else ""
    parts: list[str | tuple[str, str]] = [f"{status.n_rows:,}{total} {facts.unit}"]
    if status.feed_age_s is not None:
        parts.append(
            (f", the last {status.feed_age_s:.1f} s ago", "red" if status.feed_age_s > _OLD_S else "")
        )
    counts = f"   {status.n_intents:,} intents, {status.n_orders:,} orders, {status.n_fills:,} fills"
    return Text.assemble(*parts, counts, no_wrap=True, overflow="ellipsis")


def _account(status: NodeStatus, facts: Facts) -> Text:
    parts: list[str | tuple[str, str]] = [f"{facts.asset}  equity ", (money(status.equity), "bold")]
    for name, value in (("today", status.day_pnl), ("realized", status.realized_pnl)):
        parts += [f"   {name} ", _gain(value)]
    return Text.assemble(*parts, "   cash ", money(status.cash), no_wrap=True, overflow="ellipsis")


def money(value: Decimal | None) -> str:
    """Return an amount of money for the eye: more decimals the smaller it is."""
    if value is None:
        return "unknown"
    size = abs(value)
    return (
        f"{value:,.2f}" if size >= 100 or not size else f"{value:,.4f}" if size >= _SMALL else f"{value:,.8f}"
    )


def _gain(value: Decimal | None) -> tuple[str, str]:
    text = money(value)
    if value is None or not value:
        return text, ""
    return (f"+{text}", "green") if value > 0 else (text, "red")


def _section(title: str, *columns: tuple[str, bool]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), show_edge=False, header_style="dim")
    table.add_column(Text(title, style="bold"), no_wrap=True, overflow="ellipsis", ratio=1)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    return table


def _held(status: NodeStatus) -> Table:
    table = _section("positions", ("price", True), ("quantity", True), ("at", True), ("open gain", True))
    held = {line.symbol for line in status.positions}
    prices = dict(status.prices)
    for line in status.positions[:_ROWS_MAX]:
        name = f"{line.symbol} {line.strategy_id}".rstrip()
        gain = Text(*_gain(line.unrealized))
        price = prices.get(line.symbol, "")
        table.add_row(name, price, plain(line.qty), _price(line.avg_price), gain)
    flat = [(symbol, price) for symbol, price in status.prices if symbol not in held]
    for symbol, price in flat[: max(0, _ROWS_MAX - len(status.positions))]:
        table.add_row(symbol, price, "flat", "", "")
    _more(table, len(status.positions) + len(flat) - _ROWS_MAX)
    return table


def _price(value: Decimal | None) -> str:
    return "" if value is None else f"{value:,.8g}"


def _working(status: NodeStatus) -> tuple[Table, ...]:
    if not status.working:
        return ()
    table = _section(
        "working orders", ("", False), ("left", True), ("of", True), ("price", True), ("", False)
    )
    for order in status.working[:_ROWS_MAX]:
        name = f"{order.symbol} {order.strategy_id}".rstrip()
        what = f"{order.side} {order.type}"
        table.add_row(name, what, plain(order.remaining), plain(order.qty), order.price, str(order.status))
    _more(table, len(status.working) - _ROWS_MAX)
    return (table,)


def _more(table: Table, n_more: int) -> None:
    if n_more > 0:
        table.add_row(Text(f"and {n_more:,} more", style="dim"))


def _limits(status: NodeStatus, symbols: Sequence[str]) -> Table:
    table = _section("limits", ("", False), ("used", True), ("of", True), ("", False))
    uses = sorted(status.limits, key=_share, reverse=True)
    for use in uses[:_LIMITS_MAX]:
        share = _share(use)
        style = "red" if share >= 1 else "yellow" if share >= _NEAR else "green"
        of = (use.strategy_id, symbols[use.instrument] if use.instrument >= 0 else "")
        name = " ".join(filter(None, (use.rule, *of)))
        bar = ProgressBar(
            total=1.0, completed=min(1.0, share), width=_BAR, complete_style=style, finished_style=style
        )
        table.add_row(name, bar, _counted(use.used), _counted(use.cap), use.unit)
    return table


def _share(use: LimitUse) -> float:
    return float(use.used / use.cap) if use.cap else 0.0


def _counted(value: Decimal) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,.2f}"


def _decisions(status: NodeStatus, n_lines: int) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), show_edge=False, header_style="dim")
    table.add_column(Text("decisions", style="bold"), no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    shown = status.decisions[-max(1, n_lines) :]
    if not shown:
        table.add_row(Text("none yet", style="dim"))
    for line in shown:
        verdict = Text(line.verdict, style="green" if line.verdict == "allowed" else "yellow")
        when = clock(line.ts_ns).partition("T")[2]
        table.add_row(f"{when} {line.strategy_id} {line.what}", verdict, Text(line.why, style="dim"))
    return table
