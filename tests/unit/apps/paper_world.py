"""A small paper session for tests: a market of bars with orders of many kinds, a disk that loses power, a switch by row."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from njord.adapters.config_loader import load_config
from njord.adapters.kill_switch_watch import Reading
from njord.apps.node import NodeOptions, PaperNode
from njord.apps.paced_feed import BlockFeed, behind
from njord.apps.session import Session
from njord.apps.stop import Ended
from njord.backtest.market import Market, MarketBlock
from njord.backtest.session import BacktestRequest, prepare
from njord.backtest.simulation import Prepared, simulate
from njord.core.contracts import Message
from njord.core.types import TradingState
from njord.storage.disk import Disk, DiskFile
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import Line, read_blocks
from tests.unit.backtest.market_samples import write_bars
from tests.unit.storage.journal_disks import SimDisk

N_BARS = 56  # Two orders work at the end.
# Enters at the market, leaves a limit order and a stop at the venue, cancels by timer, and enters again.
STRATEGY = """
from njord.strategies import *


class Busy(Strategy):
    class Params(StrategyParams, frozen=True):
        raises_at: int = 0

    def warm_up(self):
        return 3

    def on_bar(self, ctx, bar):
        if ctx.n_bars == self.params.raises_at:
            raise RuntimeError("on purpose")
        step = ctx.n_bars % 10
        price = bar.message.close
        if step == 4:
            timer = TimerSet(key="tidy", due_ns=ctx.ts_ns + 150_000_000_000)
            far = OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=5_000_000, limit_price_ticks=price // 2)
            further = OrderIntent(side=Side.BUY, type=OrderType.LIMIT, qty_lots=5_000_000, limit_price_ticks=price // 3)
            return [OrderIntent(side=Side.BUY, qty_lots=10_000_000), timer, far, further]
        if step == 9 and ctx.qty > 0:
            return OrderIntent(side=Side.SELL, qty_lots=10_000_000, reduce_only=True)
        return None

    def on_timer(self, ctx, timer):
        return [CancelIntent(client_order_id=order.client_order_id) for order in ctx.open_orders]

    def on_order(self, ctx, update):
        if update.reason is OrderReason.END_OF_DATA:
            return self.on_timer(ctx, update)
        return None
"""
ACTIVE = Reading(TradingState.ACTIVE, "file", "", "")
TRIPPED = Reading(TradingState.HALTED, "file", "drill", "ann")


class World(NamedTuple):
    """Where a session lies, and what it is of."""

    root: Path
    prepared: Prepared

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.root / "state"


class SwitchByRow:
    """A kill switch that says what the cursor says, so that a session that goes on sees the same again."""

    def __init__(self, session: Session, reading_at: Callable[[int], Reading] = lambda row: ACTIVE) -> None:
        self._session = session
        self._reading_at = reading_at

    def reading(self) -> Reading:
        """Return what it says at the cursor."""
        return self._reading_at(self._session.n_rows)


class PiecesFeed:
    """A market as fast as possible, a few messages at a time."""

    age_s = None

    def __init__(self, market: Market, n_rows: int = 3) -> None:
        self._market = market
        self._n_rows = n_rows

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages."""
        for block in behind(self._market.blocks(), skip_rows):
            refs = block.refs
            for first in range(0, len(block.messages), self._n_rows):
                yield MarketBlock(refs, block.messages[first : first + self._n_rows])
                refs = ()


class Crash(BaseException):
    """The process dies here."""


class CrashDisk(SimDisk):
    """Dies at the `crash_at`-th operation (from 1) and does nothing from then on; a write has taken half its bytes."""

    def __init__(self, crash_at: int = 0) -> None:
        super().__init__()
        self._crash_at = crash_at
        self.n_done = 0

    def count(self) -> bool:
        """Note one operation; say whether it is the one that is cut short."""
        self.n_done += 1
        if self._crash_at and self.n_done > self._crash_at:
            raise Crash
        return self.n_done == self._crash_at

    def open_append(self, path: Path) -> DiskFile:
        if self.count():
            raise Crash
        return _CrashFile(super().open_append(path), self)

    def sync_folder(self, path: Path) -> None:
        if self.count():
            raise Crash
        super().sync_folder(path)


class _CrashFile:
    def __init__(self, file: DiskFile, disk: CrashDisk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: bytes) -> None:
        if self._disk.count():
            self._file.write(data[: len(data) // 2])
            raise Crash
        self._file.write(data)

    def sync(self) -> None:
        if self._disk.count():
            raise Crash
        self._file.sync()

    def truncate(self, size: int) -> None:
        if self._disk.count():
            raise Crash
        self._file.truncate(size)

    def close(self) -> None:
        self._file.close()


def closes(n_bars: int = N_BARS) -> list[int]:
    """Prices that go up and down."""
    return [2_000 + 7 * (number % 11) - 3 * (number % 5) for number in range(n_bars)]


def make_world(
    root: Path,
    *,
    params: tuple[str, ...] = (),
    settings: dict[str, str] | None = None,
    strategies: Sequence[str] = (),
    text: str = STRATEGY,
) -> World:
    """Return a prepared run; the caller closes its market."""
    (root / "busy.py").write_text(text)
    given = {
        "backtest.entry_latency_ns": "0",
        "risk.profiles.research.rules.price_collar.max_distance_fraction": "1",
        **(settings or {}),
    }
    request = BacktestRequest(
        strategy=tuple(strategies) or str(root / "busy.py"),
        data=write_bars(root, "ETH/USDT", closes()),
        params=params,
    )
    return World(root, prepare(request, load_config(root, given, {}).config, {}))


def backtest(world: World) -> tuple[str, list[Line]]:
    """Return the order-list hash and the journal of the same run as a backtest."""
    journal = JournalWriter(world.root / "backtest", SimDisk())
    outcome = simulate(world.prepared, world.prepared.market, journal)
    journal.close()
    return outcome.recorder.order_list_hash(), lines(world.root / "backtest")


def lines(folder: Path) -> list[Line]:
    """Return a journal's written messages."""
    return [line for block in read_blocks(folder) for line in block.lines]


def open_session(world: World, disk: Disk | None = None, **how: object) -> Session:
    """Open the session on a disk that does not wait for any device."""
    return Session.open(world.prepared, world.state, disk=disk or SimDisk(), **how)  # type: ignore[arg-type]


def run(
    session: Session,
    *,
    reading_at: Callable[[int], Reading] = lambda row: ACTIVE,
    stop_at: int | None = None,
    options: NodeOptions | None = None,
    feed: BlockFeed | None = None,
    heard: list[Message] | None = None,
) -> Ended:
    """Run a node on the session to its end, or stop it when its cursor has come to `stop_at`."""

    async def play() -> Ended:
        def reading(row: int) -> Reading:
            if stop_at is not None and row >= stop_at:
                node.request_stop("signal SIGTERM")
            return reading_at(row)

        node = PaperNode(
            session,
            feed or PiecesFeed(session.prepared.market),
            SwitchByRow(session, reading),
            options or NodeOptions(commit_every_s=0),
            None if heard is None else heard.extend,
        )
        return await node.run()

    return asyncio.run(play())


def state_of(session: Session) -> tuple[object, ...]:
    """Return what must be the same after a crash."""
    account = session.system.ledger.account
    working = session.system.oms.working
    return (
        session.recorder.order_list_hash(),
        session.n_rows,
        account.cash,
        account.position(0),
        [(order.client_order_id, order.remaining_lots, order.status) for order in working],
    )


def journal_bytes(session: Session) -> int:
    """Return how many bytes the journal's files have."""
    return sum(os.path.getsize(path) for path in (session.folder / "journal").glob("*.ndjson"))
