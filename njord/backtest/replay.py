"""Replay: only the inbound messages of a journal go in, and every message the engine derives must come out the same.

The system is built anew from the run's configuration and strategy; market data come from the datasets that the
journal names by their hashes. A missing or changed dataset is refused by name, a difference is shown with its place.
"""

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from njord.adapters.plugins import LoadedStrategy, load_strategy
from njord.adapters.source_hash import package_hash
from njord.backtest.market import MarketBlock
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.simulation import account_of, precompute
from njord.core.codec import decode, encode
from njord.core.config import Config
from njord.core.contracts import (
    INBOUND,
    Bar,
    BookEvent,
    Message,
    Ref,
    RunStarted,
    TickerEvent,
    TradeEvent,
)
from njord.core.errors import ConfigError, DataError, JournalError, NjordError
from njord.core.instrument import Instrument
from njord.core.registry import convert_params
from njord.core.units import EXACT
from njord.storage.bars_options import BarOptions
from njord.storage.journal_reader import Block, read_blocks
from njord.system import HostedSpec, System, SystemSpec

Progress = Callable[[int, int], None]
_SHOWN_BYTES = 300
_STEPS_SHOWN = 8192
_ROWS = (Bar, TradeEvent, BookEvent, TickerEvent)  # What a Ref can stand for.


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay found."""

    identical: bool
    n_messages: int
    head: str
    difference_seq: int = 0
    difference: str = ""
    notes: tuple[str, ...] = ()


class _Difference(NjordError):
    """The engine and the journal part ways here; never leaves this module."""

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(text)
        self.seq = seq


class _Strategy(msgspec.Struct, kw_only=True):
    id: str
    path: str


class _RunFile(msgspec.Struct, kw_only=True):
    run_id: str
    journal_head: str
    n_messages: int
    strategies: list[_Strategy]
    data: list[str]
    bar_options: BarOptions
    start_ns: int | None
    end_ns: int | None
    instruments: list[Instrument]
    qty: Decimal | None
    config: dict[str, Any]


class _Recorded(msgspec.Struct, frozen=True):
    seq: int
    message: bytes | None  # None: the next referenced row.


class _Tape:
    """The recorded messages in sequence; also the journal that the replayed engine writes, which compares."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._records = _records(blocks)
        self._next: _Recorded | None = next(self._records, None)
        self.seq = 0

    def peek(self) -> _Recorded | None:
        """Return the next recorded message."""
        return self._next

    def append(self, message: Message) -> None:
        """Compare what the engine appends with what was recorded."""
        recorded = self._next
        if recorded is None:
            raise _Difference(
                self.seq + 1, f"the journal ends, yet the engine derives {_shown(encode(message))}"
            )
        self.seq = recorded.seq
        if recorded.message is None:
            if not isinstance(message, _ROWS):
                raise _Difference(
                    recorded.seq, f"recorded a market data row, derived {_shown(encode(message))}"
                )
        elif (derived := encode(message)) != recorded.message:
            raise _Difference(recorded.seq, f"recorded {_shown(recorded.message)} derived {_shown(derived)}")
        self._next = next(self._records, None)


def replay_run(folder: Path, progress: Progress = lambda done, total: None) -> Verdict:
    """Replay the run in `folder`.

    Raises:
        UserError: Strategy, configuration or dataset of the run are missing or changed; they are named.
        JournalCorrupt: The journal does not prove its own integrity.
        JournalError: The journal was cut off: a tail is torn, or its end mark is missing.
    """
    facts = _read_run(folder)
    tape = _Tape(read_blocks(folder / "journal", must_be_complete=True))
    first = tape.peek()
    started = decode(first.message) if first is not None and first.message is not None else None
    if not isinstance(started, RunStarted):
        raise JournalError(f"the journal in {folder} does not begin with RunStarted")
    loaded = {strategy.id: load_strategy(strategy.path) for strategy in facts.strategies}
    notes = _notes(loaded, started)
    with _open_market(facts) as market:
        system = System(_spec(facts, loaded, started, market), tape)
        precompute(system, market)
        try:
            _drive(tape, system, market, lambda done: progress(done, facts.n_messages))
        except _Difference as difference:
            return Verdict(
                identical=False,
                n_messages=tape.seq,
                head=facts.journal_head,
                difference_seq=difference.seq,
                difference=str(difference),
                notes=notes,
            )
    return _verdict(folder, facts, tape.seq, notes)


def _verdict(folder: Path, facts: _RunFile, n_messages: int, notes: tuple[str, ...]) -> Verdict:
    head = ""
    for block in read_blocks(folder / "journal"):
        head = block.hash
    if (n_messages, head) != (facts.n_messages, facts.journal_head):
        text = (
            f"the journal holds {n_messages} messages with hash {head}, "
            f"run.json says {facts.n_messages} with {facts.journal_head}"
        )
        return Verdict(
            identical=False,
            n_messages=n_messages,
            head=head,
            difference_seq=n_messages,
            difference=text,
            notes=notes,
        )
    return Verdict(identical=True, n_messages=n_messages, head=head, notes=notes)


def _drive(tape: _Tape, system: System, market: RecordedMarket, progress: Callable[[int], None]) -> None:
    rows = _Rows(market)
    n_steps = 0
    while (recorded := tape.peek()) is not None:
        message: Message | None
        if recorded.message is None:
            message = rows.next()
            if message is None:
                raise _Difference(recorded.seq, "recorded a market data row, but no Ref names it")
        else:
            message = decode(recorded.message)
            if not isinstance(message, INBOUND):
                raise _Difference(
                    recorded.seq, f"recorded {_shown(recorded.message)} which the engine did not derive"
                )
            if isinstance(message, Ref):
                rows.refer(message, recorded.seq)
        system.engine.step(message)
        n_steps += 1
        if n_steps % _STEPS_SHOWN == 0:
            progress(tape.seq)


# The market's rows block by block, as the recorded Refs call for them.
class _Rows:
    def __init__(self, market: RecordedMarket) -> None:
        self._names = {source.hash: source.name for source in market.sources}
        self._blocks: Iterator[MarketBlock] = market.blocks()
        self._refs: deque[Ref] = deque()
        self._messages: Iterator[Message] = iter(())

    def refer(self, recorded: Ref, seq: int) -> None:
        if not self._refs:
            block = next(self._blocks, None)
            if block is None:
                raise _Difference(seq, "recorded more market data than the datasets have")
            self._refs.extend(block.refs)
            self._messages = iter(block.messages)
        ref = self._refs.popleft()
        if recorded.dataset_hash != ref.dataset_hash:
            raise DataError(
                f"the dataset {self._names[ref.dataset_hash]} has changed: its hash is {ref.dataset_hash}, the journal "
                f"refers to {recorded.dataset_hash}",
                "put the original back",
            )
        if recorded != ref:
            raise _Difference(seq, f"recorded {_shown(encode(recorded))} derived {_shown(encode(ref))}")

    def next(self) -> Message | None:
        return None if self._refs else next(self._messages, None)


def _records(blocks: Iterator[Block]) -> Iterator[_Recorded]:
    for block in blocks:
        expected = block.first
        for line in block.lines:
            while expected < line.seq:
                yield _Recorded(expected, None)
                expected += 1
            yield _Recorded(line.seq, line.message)
            expected = line.seq + 1
        while expected <= block.last:
            yield _Recorded(expected, None)
            expected += 1


def _read_run(folder: Path) -> _RunFile:
    path = folder / "run.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_RunFile)
    except FileNotFoundError:
        raise ConfigError(
            f"{folder} is not a run: it has no run.json", "name a folder under var/reports"
        ) from None
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} is damaged: {error}", "run the backtest again") from None


def _open_market(facts: _RunFile) -> RecordedMarket:
    paths = [Path(path) for path in facts.data]
    for path in paths:
        if not path.exists():
            raise DataError(f"the run's dataset {path} is gone", "put it back where it was")
    request = MarketRequest(
        data=tuple(paths), bars=facts.bar_options, start_ns=facts.start_ns, end_ns=facts.end_ns
    )
    return open_market(request, {instrument.symbol: instrument for instrument in facts.instruments})


def _spec(
    facts: _RunFile, loaded: dict[str, LoadedStrategy], started: RunStarted, market: RecordedMarket
) -> SystemSpec:
    config = Config.model_validate(facts.config)
    hosted = []
    for described in started.strategies:
        own = loaded.get(described.strategy_id)
        if own is None:
            raise JournalError(f"run.json names no file of the strategy {described.strategy_id}")
        params = convert_params(own.name, own.cls.Params, msgspec.json.decode(described.params))
        objects = tuple((index, own.cls(params)) for index in described.instruments)
        hosted.append(HostedSpec(strategy_id=described.strategy_id, objects=objects))
    return SystemSpec(
        run_id=started.run_id,
        account_id=started.account_id,
        report_asset=started.report_asset,
        capital=started.capital,
        instruments=started.instruments,
        strategies=tuple(hosted),
        risk_profile=started.risk_profile,
        risk_rules=config.risk.profiles[started.risk_profile].rules,
        cost_bps=EXACT.add(config.backtest.fee_bps, config.backtest.slippage_bps),
        fixed_qty=facts.qty,
        account=account_of(config.backtest, [instrument.kind for instrument in started.instruments]),
    )


def _notes(loaded: dict[str, LoadedStrategy], started: RunStarted) -> tuple[str, ...]:
    changed = []
    if started.code_hash != package_hash():
        changed.append("njord's code")
    for described in started.strategies:
        own = loaded.get(described.strategy_id)
        if own is not None and described.source_hash != own.source_hash:
            changed.append(f"the strategy {own.path.name}")
    return tuple(f"{what} has changed since this run; a difference may be meant" for what in changed)


def _shown(message: bytes) -> str:
    text = message.decode(errors="replace")
    return text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "…"
