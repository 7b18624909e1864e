"""What happened in a session, and what would a backtest have made of the same? A run on disk in, two witnesses out.

The session is read from its journal, market data from the datasets that it refers to. The backtest is the same host,
`backtest/host.py`, at a simulated venue of its own, over the same rows, or over others. What came from outside and is
no market data, such as a reading of the kill switch, is a fact of the session: the backtest is told the same, behind
the same row. Over other data it is told behind the last row that is not later.

A session that still runs, or was killed, ends somewhere: in the middle of what a row has caused, if need be. A backtest
with its settings then ends as many messages behind that row, any other when all that the row causes is done.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from njord.audit.parity_witness import Enough, Witness
from njord.backtest.host import SimulatedHost, ends_data
from njord.backtest.market_open import RecordedMarket
from njord.backtest.recorded_run import RecordedRows, RecordedRun
from njord.backtest.recorder import Recorder
from njord.backtest.simulation import precompute, venue_of
from njord.core.codec import decode
from njord.core.config import Config
from njord.core.contracts import (
    EXTERNAL,
    FillEvent,
    FundingEvent,
    Message,
    PositionSnapshot,
    Ref,
)
from njord.core.errors import JournalError
from njord.storage.journal_reader import JournalState
from njord.storage.tape import ROWS, Difference, records
from njord.system import System, SystemSpec

_ROWS_SHOWN = 8192
OnRows = Callable[[int], None]


class Control(msgspec.Struct, frozen=True):
    """A message from outside that is no market data, and how many rows came before it."""

    n_rows: int
    message: Message


class Script(msgspec.Struct, kw_only=True):
    """What a session was told, in order.

    Attributes:
        n_messages: In its journal.
        n_rows: Rows that are compared.
        last_ns: When the last of them became known.
        is_complete: It has ended; else it still runs, was stopped, or was killed.
        n_last: If not, the messages from its last row or control on; None = all that these cause.
        ends_with: What that is; `finish` = the host's own word that the data have ended.
        has_finished: Its data had come to their end, and every order with them.
    """

    controls: list[Control] = []
    n_messages: int = 0
    n_rows: int = 0
    last_ns: int = 0
    is_complete: bool = True
    n_last: int | None = None
    ends_with: Literal["row", "control", "finish"] = "row"
    has_finished: bool = False


def read_session(
    run: RecordedRun, state: JournalState, market: RecordedMarket, witness: Witness, on_rows: OnRows
) -> Script:
    """Let `witness` hear what a session's journal says, and return what the session was told.

    Args:
        run: The session, or a backtest.
        state: Where its journal ends.
        market: What it saw.
        witness: Hears it.
        on_rows: Told now and then how many rows have passed.

    Raises:
        DataError: A dataset has changed since; it is named.
        JournalCorrupt: A closed block does not match its hash.
        JournalError: A backtest's journal was cut off, or one refers to other rows than the data have.
    """
    script = Script(n_messages=state.last_seq, is_complete=state.is_complete)
    held: list[Message] = []  # A message from outside, and what it has caused.
    try:
        for message in _messages(run, market):
            if isinstance(message, EXTERNAL) and not isinstance(message, Ref):
                _hear(held, script, witness, on_rows)
                held = []
            held.append(message)
    except Difference as difference:
        raise JournalError(f"the journal in {run.folder}, message {difference.seq}: {difference}") from None
    if not state.is_complete:
        held = _whole(held)
        script.n_last = len([message for message in held if not isinstance(message, Ref)])
        if held and not isinstance(held[0], ROWS):
            script.ends_with = "finish" if ends_data(held[0]) else "control"
    _hear(held, script, witness, on_rows)
    script.n_rows, script.last_ns = witness.n_rows, witness.last_ns
    return script


# A fill that the books have not followed any more is left out: it is there once the session has gone on.
def _whole(held: list[Message]) -> list[Message]:
    for place in range(len(held) - 1, -1, -1):
        if isinstance(held[place], PositionSnapshot):
            break
        if isinstance(held[place], (FillEvent, FundingEvent)):
            return held[:place]
    return held


def _messages(run: RecordedRun, market: RecordedMarket) -> Iterator[Message]:
    rows = RecordedRows(market)
    for recorded in records(run.blocks()):
        if recorded.message is None:
            yield rows.next(recorded.seq)
            continue
        message = decode(recorded.message)
        if isinstance(message, Ref):
            rows.refer(message, recorded.seq)
        yield message


def _hear(held: list[Message], script: Script, witness: Witness, on_rows: OnRows) -> None:
    for message in held:
        witness.append(message)
    first = held[0] if held else None
    if isinstance(first, ROWS):
        if witness.n_rows % _ROWS_SHOWN == 0:
            on_rows(witness.n_rows)
    elif first is not None and ends_data(first):
        script.has_finished = True
    elif first is not None:
        script.controls.append(Control(witness.n_rows, first))


def run_again(
    spec: SystemSpec,
    config: Config,
    market: RecordedMarket,
    script: Script,
    witness: Witness,
    on_rows: OnRows,
    by_time: bool,
) -> None:
    """Let `witness` hear a backtest of what a session was told.

    Args:
        spec: What decides.
        config: Its settings.
        market: The session's, or another one.
        script: What the session was told.
        witness: Hears everything.
        on_rows: Told now and then how many rows have passed.
        by_time: The market is another one: what the session was told is told at its time, not behind its row.

    Raises:
        ConfigError: The settings ask for what the market does not have.
        InvariantError: A promise of the engine is broken.
    """
    venue = venue_of(spec, config.backtest, market)
    system = System(spec, witness)
    precompute(system, market)
    host = SimulatedHost(
        system.engine,
        system.ledger.account,
        venue,
        spec.instruments,
        [market.has_ticks(index) for index in range(len(spec.instruments))],
        spec.account_id,
        Recorder(spec.instruments),
    )
    try:
        _feed(host, market, script, witness, on_rows, by_time)
    except Enough:
        return


def _feed(
    host: SimulatedHost,
    market: RecordedMarket,
    script: Script,
    witness: Witness,
    on_rows: OnRows,
    by_time: bool,
) -> None:
    left = deque(script.controls)
    for n_rows, message in enumerate(_rows(host, market)):
        while left and _is_due(left[0], n_rows, message.ts_ns if by_time else None):
            _tell(host, left, script, witness)
        if message.ts_ns > script.last_ns if by_time else n_rows == script.n_rows:
            if script.n_last is not None:
                witness.end_with(0, at_row=True)
                host.accept(message)  # What has fallen due on the way to it.
            break
        if n_rows + 1 == script.n_rows and script.ends_with == "row":
            witness.end_with(script.n_last, at_row=True)
        host.accept(message)
        if n_rows % _ROWS_SHOWN == 0:
            on_rows(n_rows)
    while left:
        _tell(host, left, script, witness)
    if script.has_finished:
        if script.ends_with == "finish":
            witness.end_with(script.n_last, at_row=False)
        host.finish()


def _tell(host: SimulatedHost, left: deque[Control], script: Script, witness: Witness) -> None:
    control = left.popleft()
    if not left and script.ends_with == "control":
        witness.end_with(script.n_last, at_row=False)
    host.tell(control.message)


# The rows of a market; its Refs are told before the rows that they name.
def _rows(host: SimulatedHost, market: RecordedMarket) -> Iterator[Message]:
    for block in market.blocks():
        for ref in block.refs:
            host.tell(ref)
        yield from block.messages


def _is_due(control: Control, n_rows: int, ts_ns: int | None) -> bool:
    if ts_ns is None or not control.n_rows:
        return control.n_rows <= n_rows
    return control.message.ts_ns < ts_ns
