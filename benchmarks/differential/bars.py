"""Njord and backtesting.py on the same bars with the same orders: is every trade the same, and if not, by which rule?

Run: `python -m benchmarks.differential.bars FILE...`, each a file of bars. Both sides run the plan of `plan.py`
without costs. Every trade is compared: the bars in which it began and ended, both prices, its direction. A difference
counts as explained only if each side did exactly what its own rule, written out in `bars_rules`, says. Options: --python PATH
(of an environment with backtesting.py, else $PEERS_ROOT/venv-backtesting). Exit codes: 0 nothing unexplained,
1 something is, 2 wrong input.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.differential.bars_rules import Market, Trade, explain, linked_exits
from benchmarks.differential.ours import backtest
from benchmarks.differential.peers import ask, interpreter
from benchmarks.differential.plan import EPISODE, WARM_UP, PlanBar, combination_of, episode_of
from njord.core.contracts import AnyMessage, FillEvent
from njord.core.errors import NjordError
from njord.storage.bars_file import open_bars

STRATEGY = Path(__file__).with_name("plan_strategy.py")
CAPITAL = 10**9  # Never the reason for a refusal.
SHOWN = 10


class Comparison(NamedTuple):
    """What was found in one file.

    Attributes:
        market: The bars.
        ours: Njord's trades, in order.
        theirs: Those of backtesting.py.
        n_equal: Trades that are the same in everything.
        explained: Rule -> episodes that differ by it.
        unexplained: Episodes that differ otherwise: number, ours, theirs.
    """

    market: Market
    ours: list[Trade]
    theirs: list[Trade]
    n_equal: int
    explained: Counter[str]
    unexplained: list[tuple[int, list[Trade], list[Trade]]]


def read(path: Path) -> Market:
    """Return the bars of a file as njord reads them."""
    with open_bars(path) as dataset:
        rows: list[tuple[int, PlanBar]] = []
        for chunk in dataset.chunks():
            columns = (chunk.ts_open_ns, chunk.open, chunk.high, chunk.low, chunk.close)
            rows += [
                (ts_open_ns + dataset.interval_ns, PlanBar(*prices))
                for ts_open_ns, *prices in zip(*(column.tolist() for column in columns), strict=True)
            ]
        instrument = dataset.instrument
    times, bars = (list(column) for column in zip(*rows, strict=True))
    return Market(instrument.symbol, str(instrument.tick_size), times, bars, ":" in instrument.symbol)


def run_ours(path: Path, market: Market) -> list[Trade]:
    """Run the plan through njord's engine and return its trades."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(STRATEGY), "--data", str(path.resolve()), "--capital", str(CAPITAL)]
        arguments += ["--fee-bps", "0", "--maker-fee-bps", "0", "--slippage-bps", "0"]
        arguments += ["--param", f"may_short={str(market.may_short).lower()}"]
        run = backtest(Path(folder), *arguments)
    return trades_of(run.messages, market.ts_close_ns)


def trades_of(messages: Iterable[AnyMessage], ts_close_ns: Sequence[int]) -> list[Trade]:
    """Pair fills of one unit; the bar of a fill is the one at whose close it became known."""
    bar_of = {ts_ns: number for number, ts_ns in enumerate(ts_close_ns)}
    trades: list[Trade] = []
    for fill in messages:
        if not isinstance(fill, FillEvent):
            continue
        bar, last = bar_of[fill.ts_ns], trades[-1] if trades else None
        if last is None or last.exit_bar >= 0:
            trades.append(Trade(bar, -1, fill.side.sign, fill.price_ticks, 0))
        elif last.sign == fill.side.sign:
            raise NjordError(f"bar {bar}: the plan holds one unit, and a second one was traded")
        else:
            trades[-1] = last._replace(exit_bar=bar, exit_price=fill.price_ticks)
    return trades


def run_theirs(market: Market, python: Path) -> list[Trade]:
    """Run the plan through backtesting.py and return its trades."""
    answer = ask(
        python,
        "backtesting",
        {"bars": market.bars, "may_short": market.may_short},
    )
    return [Trade(*(int(value) for value in trade)) for trade in answer["trades"]]


def compare(market: Market, ours: list[Trade], theirs: list[Trade]) -> Comparison:
    """Compare trade by trade within each episode."""
    by_episode: dict[int, tuple[list[Trade], list[Trade]]] = {}
    for side, trades in enumerate((ours, theirs)):
        for trade in trades:
            by_episode.setdefault(episode_of(trade.entry_bar), ([], []))[side].append(trade)
    exits = linked_exits(market, ours)
    n_equal, explained, unexplained = 0, Counter[str](), []
    for episode, (mine, other) in sorted(by_episode.items()):
        if mine == other:
            n_equal += len(mine)
            continue
        rule = ""
        if len(mine) == len(other) == 1:
            rule = explain(market, exits.get(episode), mine[0], other[0])
        if rule:
            explained[rule] += 1
        else:
            unexplained.append((episode, mine, other))
    return Comparison(market, ours, theirs, n_equal, explained, unexplained)


def profit(trades: Iterable[Trade]) -> int:
    """Return the closed trades' profit in ticks."""
    return sum(trade.sign * (trade.exit_price - trade.entry_price) for trade in trades if trade.exit_bar >= 0)


def say(name: str, found: Comparison) -> None:
    """Print what was found in one file."""
    market = found.market
    episodes = (len(market.bars) - WARM_UP + EPISODE - 1) // EPISODE
    print(f"{name}: {market.symbol}, tick {market.tick}, {len(market.bars):,} bars, {episodes:,} episodes")
    print(
        f"  trades: {len(found.ours):,} ours, {len(found.theirs):,} theirs, {found.n_equal:,} equal in everything"
    )
    print(f"  profit in ticks: {profit(found.ours):,} ours, {profit(found.theirs):,} theirs")
    for rule, n_episodes in sorted(found.explained.items()):
        print(f"  {n_episodes} differ by design: {rule}")
    print(f"  {len(found.unexplained)} unexplained")
    for episode, mine, other in found.unexplained[:SHOWN]:
        print(f"    episode {episode} ({' then '.join(combination_of(episode))}): {mine} against {other}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare every file and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differential.bars", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--python", type=Path)
    options: Any = parser.parse_args(arguments)
    n_unexplained = 0
    try:
        python = interpreter("backtesting", options.python)
        for path in options.files:
            market = read(path)
            found = compare(market, run_ours(path, market), run_theirs(market, python))
            say(path.name, found)
            n_unexplained += len(found.unexplained)
    except NjordError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    return 1 if n_unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
