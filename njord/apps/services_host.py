"""One service from its start to the end of the run: find the run, come to where it is, answer until it is over.

A service keeps nothing. Whatever it has to know it reads again: the beginning from the paper service's journal, the rest
from the stream. So it may die at any moment; the others wait for it.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from njord.adapters.clock import Stopwatch
from njord.adapters.seal import SealKey
from njord.apps.services_redis import ServiceLine, Wire, read_announced
from njord.apps.services_run import Announced, check_same
from njord.apps.services_stages import StageService
from njord.apps.services_words import Hello, encode_reply
from njord.backtest.market import Market
from njord.backtest.simulation import Prepared, precompute
from njord.core.bus import BusUnavailable
from njord.core.codec import decode
from njord.core.contracts import Message
from njord.core.errors import InvariantError
from njord.storage.journal_reader import read_blocks
from njord.storage.tape import records
from njord.system import System

WAIT_S: Final = 0.1  # A stop is noticed within this.
LOOK_AFTER_S: Final = 0.5  # Without a message, before the announcement is read again.


class Wish(msgspec.Struct):
    """Whether somebody wants the service to end, and why; set by a signal handler."""

    reason: str = ""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a service is given.

    Attributes:
        service: Its name.
        prepared: The run, as the paper service has it.
        url: Of Redis; may hold a password.
        say: Tells a person one line.
        wish: Ends it.
    """

    service: str
    prepared: Prepared
    url: str
    say: Callable[[str], None]
    wish: Wish


class Nowhere:
    """A journal that nobody reads: the paper service keeps the only one."""

    def append(self, message: Message) -> None:
        """Take no note of `message`."""


def find_run(work: Work, key: SealKey | None = None, not_epoch: str = "") -> Announced | None:
    """Wait until the paper service has announced a run, and check that it is ours; None if somebody wants us to end.

    Args:
        work: Whose run.
        key: Must be the paper service's, if we have one.
        not_epoch: One that is over.

    Raises:
        ConfigError: It is another run; what differs is named.
    """
    wire, told, waits = Wire(work.url), "", Stopwatch()
    try:
        while not work.wish.reason:
            try:
                announced = read_announced(wire)
                doing = (
                    ""
                    if announced is not None
                    else "the paper service has announced no run; next: make run-paper"
                )
            except BusUnavailable as error:
                announced, doing = None, str(error)
            if announced is not None and not announced.ended and announced.epoch != not_epoch:
                check_same(announced, work.prepared, work.service, key)
                return announced
            if doing != told and waits.elapsed_s() > LOOK_AFTER_S:
                told = doing
                work.say(f"waiting: {doing}" if doing else "waiting for the next run")
            time.sleep(WAIT_S)
        return None
    finally:
        wire.close()


def serve(work: Work, key: SealKey | None = None) -> str:
    """Answer for the stages of one service until the run is over; return why it ended.

    Raises:
        ConfigError: The announced run is not the one that was given.
        JournalError: What came before the stream can not be read.
        InvariantError: A message is missing.
    """
    ended = ""
    while not work.wish.reason:
        announced = find_run(work, key)
        if announced is None:
            break
        ended = _serve_epoch(work, announced, key)
        if ended:
            return ended
        work.say("the paper service has started again")
    return work.wish.reason


# Returns why the run is over; empty if it goes on in another epoch.
def _serve_epoch(work: Work, announced: Announced, key: SealKey | None) -> str:
    line = ServiceLine(work.url, announced.run)
    try:
        service = _caught_up(work, announced, line, key)
        if service is None:
            return work.wish.reason
        work.say(f"at message {service.applied:,} of session {Path(announced.folder).name}")
        return _answer(work, announced, line, service)
    finally:
        line.close()


def _answer(work: Work, announced: Announced, line: ServiceLine, service: StageService) -> str:
    answers, silence, trouble = [encode_reply(Hello(service.name, service.applied))], Stopwatch(), ""
    is_away = False
    while not work.wish.reason:
        entries = line.exchange(answers, WAIT_S)
        answers = []
        for entry in entries:
            if entry.again:
                answers += service.again(entry.again)
                continue
            answer = service.apply(entry.seq, decode(entry.message))
            if answer is not None:
                answers.append(answer)
        if line.trouble != trouble:
            trouble = line.trouble
            work.say(trouble or "Redis is back")
        if entries:
            silence = Stopwatch()
        elif silence.elapsed_s() > LOOK_AFTER_S and not trouble:
            silence = Stopwatch()
            now = _announced(line)
            if (now is None) is not is_away:
                is_away = now is None
                work.say("waiting: the paper service is away" if is_away else "the paper service is back")
            if now is not None and now.epoch != announced.epoch:
                return ""
            if now is not None and now.ended:
                return now.ended
    return work.wish.reason


def _announced(line: ServiceLine) -> Announced | None:
    try:
        return line.announced()
    except BusUnavailable:
        return None


def _caught_up(
    work: Work, announced: Announced, line: ServiceLine, key: SealKey | None
) -> StageService | None:
    prepared = work.prepared
    system = System(prepared.fresh_spec(), Nowhere())
    precompute(system, prepared.market)
    service, told = StageService(work.service, system, announced.run, key), ""
    while not work.wish.reason:
        try:
            first = line.first_seq()
        except BusUnavailable as error:
            if str(error) != told:
                told = str(error)
                work.say(told)
            time.sleep(WAIT_S)
            continue
        until = announced.last_seq if first is None else max(announced.last_seq, first - 1)
        rebuild(service, Path(announced.folder) / "journal", prepared.market, until)
        line.go_on_after(service.applied)
        return service
    return None


def rebuild(service: StageService, journal: Path, market: Market, until_seq: int) -> None:
    """Let a fresh service have what the journal holds up to a message; nothing of it is answered.

    Raises:
        InvariantError: The journal does not reach so far, or names more rows than the market has.
        JournalError: It can not be read.
    """
    if not until_seq:
        return
    rows = (message for block in market.blocks() for message in block.messages)
    for recorded in records(read_blocks(journal)):
        message = decode(recorded.message) if recorded.message is not None else _next(rows)
        service.apply(recorded.seq, message)
        if recorded.seq == until_seq:
            return
    raise InvariantError(
        f"the journal {journal.parent.name} ends at message {service.applied}, the stream begins after {until_seq}"
    )


def _next(rows: Iterator[Message]) -> Message:
    row = next(rows, None)
    if row is None:
        raise InvariantError("the journal counts more rows than the market has")
    return row
