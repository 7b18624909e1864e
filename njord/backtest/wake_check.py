"""Is it true that nothing happens where `wakes` says so? A finished run in; the first word of a strategy that slept out.

The run is made again on its own data, every strategy called on every bar, and compared with the journal byte for byte:
the tape that compares takes no rows that it has not seen, so that nobody sleeps. The checks for the future compare in the
same way and cost the same; whoever finds a difference there asks here which of the two it is.
"""

from pathlib import Path

from njord.backtest.market import Market
from njord.backtest.poison_tape import CutReached, CutTape, Differs
from njord.backtest.rerun import strategies_of
from njord.backtest.simulation import Prepared, simulate
from njord.backtest.utc import at
from njord.core.errors import StrategyError
from njord.strategies.base import Strategy


class Overslept(StrategyError):
    """A strategy does something on a bar at which its `wakes` says that it can not."""


def check_wakes(prepared: Prepared, market: Market, folder: Path, until_ns: int) -> None:
    """Check that the run is the same if `on_bar` is called on every bar; nothing is run if no strategy has `wakes`.

    Args:
        prepared: The run.
        market: What it ran on.
        folder: Where its journal lies.
        until_ns: Until when it is compared.

    Raises:
        Overslept: It is not.
    """
    sleepers = [name for name, _, each in strategies_of(prepared) if type(each).wakes is not Strategy.wakes]
    if not sleepers:
        return
    tape = CutTape(folder / "journal", until_ns)
    try:
        simulate(prepared, market, tape)
    except CutReached:
        return
    except Differs as found:
        raise _overslept(found, sleepers[0]) from None
    finally:
        tape.close()


def _overslept(found: Differs, first: str) -> Overslept:
    message = found.message
    who = getattr(message, "strategy_id", "") or first
    return Overslept(
        f"wakes() of {who} is not true: called on every bar, the run differs from {at(message.ts_ns)} on "
        f"({type(message).__name__})",
        "say True wherever on_bar may propose or change its state, or leave wakes() out",
    )
