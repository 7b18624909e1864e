"""What was run, and on what? The folder of a backtest or of a session in; its journal's state, market and system out.

A backtest leaves `run.json`, a session `session.json`, with the same facts: which strategy files, which data, which
settings. From them the same system is built anew, with the same settings or with others. What has changed since is
noted, what is gone is refused by name.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from njord.adapters.plugins import LoadedStrategy, load_strategy
from njord.adapters.source_hash import package_hash
from njord.backtest.feed_blocks import FEED_NAME, read_feed
from njord.backtest.market import MarketBlock
from njord.backtest.market_feed import FeedMarket
from njord.backtest.market_open import MarketRequest, RecordedMarket, open_market
from njord.backtest.simulation import account_of
from njord.core.codec import decode, encode
from njord.core.config import Config
from njord.core.contracts import INBOUND, Message, Ref, RunStarted
from njord.core.errors import ConfigError, DataError, JournalError
from njord.core.instrument import Instrument
from njord.core.registry import convert_params
from njord.core.units import EXACT
from njord.storage.bars_options import BarOptions
from njord.storage.interval import parse_timeframe
from njord.storage.journal_reader import Block, read_blocks
from njord.storage.tape import Difference, Tape, shown
from njord.system import HostedSpec, SystemSpec

RUN_FILE = "run.json"
SESSION_FILE = "session.json"


class RecordedStrategy(msgspec.Struct, kw_only=True):
    """One strategy of a run, and the file that held it."""

    id: str
    path: str


class RunFacts(msgspec.Struct, kw_only=True):
    """What the run's file says.

    Attributes:
        kind: "backtest", or what a session calls itself.
        journal_head: What the journal's last hash must be; empty if the file was written before its end.
        n_messages: How many messages the journal must hold; 0 likewise.
    """

    run_id: str
    strategies: list[RecordedStrategy]
    data: list[str]
    bar_options: BarOptions
    start_ns: int | None
    end_ns: int | None
    instruments: list[Instrument]
    qty: Decimal | None
    config: dict[str, Any]
    kind: str = "backtest"
    journal_head: str = ""
    n_messages: int = 0


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run on disk.

    Attributes:
        is_session: It may go on, and so need not be complete.
        started: The first record of its journal.
        strategies: Its strategies as their files are now, by id.
    """

    folder: Path
    is_session: bool
    facts: RunFacts
    started: RunStarted
    strategies: Mapping[str, LoadedStrategy]

    @property
    def journal(self) -> Path:
        """The folder of its journal."""
        return self.folder / "journal"

    @property
    def file(self) -> str:
        """The name of the file with its facts."""
        return SESSION_FILE if self.is_session else RUN_FILE

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks of its journal, verified.

        Raises:
            JournalCorrupt: A closed block does not match its hash.
            JournalError: The journal of a backtest, or of a session that has ended, was cut off.
        """
        has_ended = not self.is_session or bool(self.facts.journal_head)
        return read_blocks(self.journal, must_be_complete=has_ended)

    def tape(self) -> Tape:
        """Return its messages from the start, to be compared with what an engine says."""
        return Tape(self.blocks())

    def config(self) -> Config:
        """Return the settings that it ran with.

        Raises:
            ConfigError: The run's file holds none, or not all that it needs.
        """
        try:
            config = Config.model_validate(self.facts.config)
        except ValidationError:
            raise self._damaged("its settings are none") from None
        if self.started.risk_profile not in config.risk.profiles:
            raise self._damaged(f"it has no risk profile {self.started.risk_profile}")
        return config

    def _damaged(self, what: str) -> ConfigError:
        return ConfigError(f"{self.folder / self.file} is damaged: {what}", "put the original back")

    def open_market(self, data: tuple[Path, ...] = ()) -> RecordedMarket:
        """Open what it ran on; the caller closes it. A live session ran on what its feed file holds.

        Args:
            data: Other data of the same symbols, to be read in their place over the run's time.

        Raises:
            UserError: A dataset is gone or not fit.
        """
        facts = self.facts
        feed = self.folder / FEED_NAME
        if feed.is_file() and not data:
            return _followed(feed, self.started, facts.bar_options)
        paths = [Path(path) for path in facts.data]
        if not data and not paths:
            raise DataError(f"the session's feed {feed} is gone", "put it back where it was")
        for path in () if data else paths:
            if not path.exists():
                raise DataError(f"the run's dataset {path} is gone", "put it back where it was")
        request = MarketRequest(
            data=data or tuple(paths),
            bars=facts.bar_options,
            start_ns=self.started.ts_ns if data else facts.start_ns,
            end_ns=facts.end_ns,
        )
        return open_market(request, {instrument.symbol: instrument for instrument in facts.instruments})

    def spec(self, changed: Config | None = None) -> SystemSpec:
        """Return what decides, with strategy objects that have seen nothing.

        Args:
            changed: Other settings than it ran with.

        Raises:
            UserError: A strategy does not take its parameters any more.
        """
        started, config = self.started, changed or self.config()
        capital = started.capital if changed is None else config.backtest.capital
        risk_profile = started.risk_profile if changed is None else config.backtest.risk_profile
        return SystemSpec(
            run_id=started.run_id,
            account_id=started.account_id,
            report_asset=started.report_asset,
            capital=capital,
            instruments=started.instruments,
            strategies=tuple(self._hosted()),
            risk_profile=risk_profile,
            risk_rules=config.risk.profiles[risk_profile].rules,
            cost_bps=EXACT.add(config.backtest.fee_bps, config.backtest.slippage_bps),
            fixed_qty=self.facts.qty,
            account=account_of(config.backtest, [instrument.kind for instrument in started.instruments]),
        )

    def _hosted(self) -> Iterator[HostedSpec]:
        for described in self.started.strategies:
            own = self.strategies.get(described.strategy_id)
            if own is None:
                raise JournalError(f"{self.folder} names no file of the strategy {described.strategy_id}")
            params = convert_params(own.name, own.cls.Params, msgspec.json.decode(described.params))
            objects = tuple((index, own.cls(params)) for index in described.instruments)
            yield HostedSpec(strategy_id=described.strategy_id, objects=objects)

    def notes(self) -> tuple[str, ...]:
        """Return what has changed since it ran, in sentences."""
        changed = []
        if self.started.code_hash != package_hash():
            changed.append("njord's code")
        for described in self.started.strategies:
            own = self.strategies.get(described.strategy_id)
            if own is not None and described.source_hash != own.source_hash:
                changed.append(f"the strategy {own.path.name}")
        return tuple(f"{what} has changed since this run; a difference may be meant" for what in changed)


def open_run(folder: Path) -> RecordedRun:
    """Return the run or session in `folder`.

    Raises:
        UserError: There is none, or a strategy's file is gone.
        JournalError: There is no journal, or it does not begin as one.
    """
    facts, is_session = _read_facts(folder)
    block = next(read_blocks(folder / "journal"), None)
    started = decode(block.lines[0].message) if block is not None and block.lines else None
    if not isinstance(started, RunStarted):
        raise JournalError(f"the journal in {folder} does not begin with RunStarted")
    loaded = {strategy.id: load_strategy(strategy.path) for strategy in facts.strategies}
    return RecordedRun(folder=folder, is_session=is_session, facts=facts, started=started, strategies=loaded)


# The certificate of a feed says nothing yet.
def _followed(feed: Path, started: RunStarted, options: BarOptions) -> FeedMarket:
    interval_ns = parse_timeframe(options.timeframe or "1m")
    return FeedMarket(started.instruments, interval_ns, started.ts_ns, lambda: read_feed(feed))


def _read_facts(folder: Path) -> tuple[RunFacts, bool]:
    for name in (SESSION_FILE, RUN_FILE):
        path = folder / name
        if not path.is_file():
            continue
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunFacts), name == SESSION_FILE
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path} is damaged: {error}", "run it again") from None
    raise ConfigError(
        f"{folder} is neither a run nor a session: it has no {RUN_FILE} and no {SESSION_FILE}",
        "name a folder under var/reports or var/state/sessions",
    )


class RecordedRows:
    """A market's rows block by block, as the recorded Refs call for them.

    Args:
        market: What is read.
        blocks: Its blocks, if they come from elsewhere, such as a feed file that is still written.

    Attributes:
        told: The Refs of a block none of whose rows was asked for yet.
    """

    def __init__(self, market: RecordedMarket, blocks: Iterator[MarketBlock] | None = None) -> None:
        self._names = {source.hash: source.name for source in market.sources}
        self._blocks = market.blocks() if blocks is None else blocks
        self._refs: deque[Ref] = deque()
        self._messages: deque[Message] = deque()
        self.told: tuple[Ref, ...] = ()

    def refer(self, recorded: Ref, seq: int) -> None:
        """Take note of a recorded Ref: it must be the one that the data give.

        Raises:
            DataError: A dataset has changed.
            Difference: Other rows are read than were.
        """
        if not self._refs:
            block = None if self._messages else next(self._blocks, None)
            if block is None:
                raise Difference(seq, "recorded more market data than the datasets have")
            self._refs.extend(block.refs)
            self._messages.extend(block.messages)
        ref = self._refs.popleft()
        if recorded.dataset_hash != ref.dataset_hash:
            raise DataError(
                f"the dataset {self._names.get(ref.dataset_hash, FEED_NAME)} has changed: its hash is "
                f"{ref.dataset_hash}, the journal refers to {recorded.dataset_hash}",
                "put the original back",
            )
        if recorded != ref:
            raise Difference(seq, f"recorded {shown(encode(recorded))} derived {shown(encode(ref))}")
        self.told = (*self.told, recorded)

    def next(self, seq: int) -> Message:
        """Return the row that number `seq` stands for.

        Raises:
            Difference: No Ref names it.
        """
        if self._refs or not self._messages:
            raise Difference(seq, "recorded a market data row, but no Ref names it")
        self.told = ()
        return self._messages.popleft()


def inbound(tape: Tape, market: RecordedMarket) -> Iterator[Message]:
    """Yield what came into an engine that writes to `tape`: the next message once it has made all before it.

    Raises:
        DataError: A dataset has changed.
        Difference: The engine did not make what was recorded, or other rows are read than were.
    """
    rows = RecordedRows(market)
    while (recorded := tape.peek()) is not None:
        if recorded.message is None:
            yield rows.next(recorded.seq)
            continue
        message = decode(recorded.message)
        if not isinstance(message, INBOUND):
            raise Difference(
                recorded.seq, f"recorded {shown(recorded.message)} which the engine did not derive"
            )
        if isinstance(message, Ref):
            rows.refer(message, recorded.seq)
        yield message
