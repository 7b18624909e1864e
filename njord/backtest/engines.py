"""Which engine runs a backtest? The ordered one, with its journal; the fused loop where it can; or both, compared.

The loop makes the same decisions and keeps no journal, so that who asks for it gives up replay, `njord why` and the
checks that read one. What it can not express runs on the ordered engine, which says why.
"""

from collections.abc import Callable
from typing import IO, Literal

import msgspec

from njord.backtest.simulation import Prepared
from njord.backtest.summing_up import Outcome
from njord.core.errors import InvariantError

EngineChoice = Literal["ordered", "fast", "both"]
ENGINES: tuple[EngineChoice, ...] = ("ordered", "fast", "both")


class EngineUse(msgspec.Struct, frozen=True, kw_only=True):
    """What ran.

    Attributes:
        name: "ordered" or "fast".
        why_ordered: Why it is not the fast one that was asked for; empty if it is, or was not.
        agrees: Whether the other engine has run too, and left the very same orders, ledger and curve.
    """

    name: str = "ordered"
    why_ordered: str = ""
    agrees: bool = False


def run_on(
    engine: EngineChoice, prepared: Prepared, stage: IO[bytes], run_ordered: Callable[[], Outcome]
) -> tuple[Outcome, EngineUse]:
    """Run on the engine that was asked for, or say why it was another.

    Args:
        engine: What was asked for.
        prepared: The run.
        stage: An open binary file for the equity curve of a fast run.
        run_ordered: Runs it on the ordered engine, journal and all.

    Raises:
        InvariantError: Both have run and do not agree.
    """
    if engine == "ordered":
        return run_ordered(), EngineUse()
    from njord.backtest.fused import outcome_of, run_fused  # Loads a compiler.
    from njord.backtest.fused_terms import NotFused

    try:
        fused = run_fused(prepared)
    except NotFused as refusal:
        return run_ordered(), EngineUse(why_ordered=f"{refusal}")
    except Exception as error:  # The strategy's own code; the ordered engine says where, and what follows.
        return run_ordered(), EngineUse(why_ordered=f"the strategy raised {type(error).__name__}")
    if engine == "fast":
        return outcome_of(prepared, fused, stage), EngineUse(name="fast")
    ordered = run_ordered()
    _compare(ordered, outcome_of(prepared, fused, stage))
    return ordered, EngineUse(agrees=True)


def _compare(ordered: Outcome, fast: Outcome) -> None:
    ours, theirs = ordered.recorder, fast.recorder
    for at, (mine, other) in enumerate(zip(ours.orders, theirs.orders, strict=False), 1):
        if mine != other:
            raise InvariantError(f"the engines disagree on order {at}: {_said(mine)} and {_said(other)}")
    ledgers = [outcome.system.ledger.account for outcome in (ordered, fast)]
    pairs = {
        "orders": (len(ours.orders), len(theirs.orders)),
        "order list": (ours.order_list_hash(), theirs.order_list_hash()),
        "refusals": (ours.refusals, theirs.refusals),
        "cash": (ledgers[0].cash, ledgers[1].cash),
        "fees": (ledgers[0].fees, ledgers[1].fees),
        "position": (ledgers[0].position(0), ledgers[1].position(0)),
        "final equity": (ordered.statistics.final_equity, fast.statistics.final_equity),
        "drawdown": (ordered.statistics.max_drawdown, fast.statistics.max_drawdown),
    }
    for what, (mine_of, other_of) in pairs.items():
        if mine_of != other_of:
            raise InvariantError(f"the engines disagree on {what}: {mine_of} and {other_of}")


def _said(order: object) -> str:
    return " ".join(str(order).split())[:300]
