"""What did a live session leave on disk? Its folder and the venue's truth in, the evidence that `invariants.py` judges out.

The journal is run again in a fresh system, which must make the same messages; books and open orders are that system's.
"""

import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from njord.backtest.recorded_run import inbound, open_run
from njord.core.contracts import KillSwitchState, Message, StrategySuspended
from njord.exchange.calls import ORDER_MOVES
from njord.simulation.invariants import Evidence, Row
from njord.simulation.processes import ProcessFailed
from njord.simulation.shell import SentOrder
from njord.storage.tape import Tape
from njord.system import System

_loading = threading.Lock()  # Strategy files are modules, of which a process has one of a name.


def session_folder(root: Path) -> Path:
    """Return the folder of the only session under a node's folder.

    Raises:
        ProcessFailed: There are none, or several: somebody began another one.
    """
    found = sorted((root / "var" / "state" / "sessions").glob("*/session.json"))
    if len(found) != 1:
        raise ProcessFailed(f"there are {len(found)} sessions under {root}, one is expected")
    return found[0].parent


class _Heard:
    # A tape that also keeps what it has compared.
    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.messages: list[Message] = []

    def append(self, message: Message) -> None:
        """Compare a message with what was recorded, and keep it."""
        self._tape.append(message)
        self.messages.append(message)


def evidence_of(
    folder: Path,
    truth: Row,
    *,
    position_cap: Decimal,
    opening: Mapping[str, Decimal] | None = None,
    tripped_ns: int | None = None,
    measures_exposure: bool = True,
) -> Evidence:
    """Return what the checkers look at: a session's journal is run again, and must be what its engine makes.

    Args:
        folder: Of the session; its process has ended.
        truth: Of the account, asked after that.
        position_cap: Limit of its position, in quote.
        opening: By asset, what the account held at first beside the quote.
        tripped_ns: When the kill switch was tripped, by the venue's clock.
        measures_exposure: Nobody else traded on the account, and the venue's clock never jumped.

    Raises:
        NjordError: The journal is damaged, or another one is made of it.
    """
    with _loading:
        run = open_run(folder)
    tape = run.tape()
    heard = _Heard(tape)
    with run.open_market() as market:
        system = System(run.spec(), heard)
        for message in inbound(tape, market):
            system.engine.step(message)
    said = [each for each in heard.messages if isinstance(each, KillSwitchState) and each.source == "venue"]
    return Evidence(
        instruments=run.started.instruments,
        truth=truth,
        journal=heard.messages,
        sent=[
            SentOrder(row["ts_ns"], row["client_order_id"], row["method"])
            for row in truth["requests"]
            if (row["method"], row["path"]) in ORDER_MOVES
        ],
        opening=opening or {},
        account=system.ledger.account,
        working=system.oms.working,
        suspended=[each.error for each in heard.messages if isinstance(each, StrategySuspended)],
        state=said[-1].state if said else None,
        reason=said[-1].reason if said else "",
        tripped_ns=tripped_ns,
        position_cap=position_cap,
        measures_exposure=measures_exposure,
    )
