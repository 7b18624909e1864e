"""Replay: only the inbound messages of a journal go in, and every message the engine derives must come out the same.

The system is built anew from the run's configuration and strategy; market data come from the datasets that the
journal names by their hashes. A missing or changed dataset is refused by name, a difference is shown with its place.
A backtest's journal must be whole; a session's may go on, or may have been killed: it is compared as far as it goes.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from njord.backtest.market_open import RecordedMarket
from njord.backtest.recorded_run import RecordedRun, inbound, open_run
from njord.backtest.simulation import precompute
from njord.storage.journal_reader import JournalState, scan
from njord.storage.tape import Difference, Tape
from njord.system import System

Progress = Callable[[int, int], None]
_STEPS_SHOWN = 8192


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found.

    Attributes:
        complete: The journal has its end mark; a session that was killed or still runs has none.
        notes: What else should be known, in sentences.
    """

    identical: bool
    n_messages: int
    head: str
    difference_seq: int = 0
    difference: str = ""
    notes: tuple[str, ...] = ()
    complete: bool = True


def replay_run(folder: Path, progress: Progress = lambda done, total: None) -> Verdict:
    """Replay the run or session in `folder`.

    Raises:
        UserError: Strategy, configuration or dataset of the run are missing or changed; they are named.
        JournalCorrupt: The journal does not prove its own integrity.
        JournalError: A backtest's journal was cut off: a tail is torn, or its end mark is missing.
    """
    run = open_run(folder)
    state = scan(run.journal)
    notes = (*run.notes(), *_torn(state)) if run.is_session else run.notes()
    tape = run.tape()
    found: Difference | None = None
    with run.open_market() as market:
        system = System(run.spec(), tape)
        precompute(system, market)
        try:
            _drive(tape, system, market, lambda done: progress(done, state.last_seq))
        except Difference as difference:
            found = difference
    # What a killed session had yet to write is no difference.
    if found is not None and (state.is_complete or found.seq <= state.last_seq):
        return _differs(run, state, tape.seq, found.seq, str(found), notes)
    return _verdict(run, state, tape.seq, notes)


def _differs(
    run: RecordedRun, state: JournalState, n_messages: int, seq: int, text: str, notes: tuple[str, ...]
) -> Verdict:
    return Verdict(
        identical=False,
        n_messages=n_messages,
        head=state.head,
        difference_seq=seq,
        difference=text,
        notes=notes,
        complete=state.is_complete,
    )


# What the run's own file says of its journal must be so; a session's says it only once it has ended.
def _verdict(run: RecordedRun, state: JournalState, n_messages: int, notes: tuple[str, ...]) -> Verdict:
    facts = run.facts
    said = (facts.n_messages, facts.journal_head)
    if facts.journal_head and state.is_complete and (n_messages, state.head) != said:
        text = (
            f"the journal holds {n_messages} messages with hash {state.head}, "
            f"{run.file} says {facts.n_messages} with {facts.journal_head}"
        )
        return _differs(run, state, n_messages, n_messages, text, notes)
    return Verdict(
        identical=True, n_messages=n_messages, head=state.head, notes=notes, complete=state.is_complete
    )


def _torn(state: JournalState) -> tuple[str, ...]:
    if not state.torn_bytes:
        return ()
    return (
        f"{state.torn_bytes} bytes of a torn tail follow message {state.last_seq}; "
        "the session's next start moves them aside",
    )


def _drive(tape: Tape, system: System, market: RecordedMarket, progress: Callable[[int], None]) -> None:
    for n_steps, message in enumerate(inbound(tape, market), 1):
        system.engine.step(message)
        if n_steps % _STEPS_SHOWN == 0:
            progress(tape.seq)
