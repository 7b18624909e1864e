"""One side of a parity made by hand: prices, decisions and fills in the order in which they are told; a session cut off."""

import shutil
from decimal import Decimal
from pathlib import Path

import msgspec

from njord.audit.parity_gap import Parts, Sides, gap, shares
from njord.audit.parity_match import pair_up
from njord.audit.parity_witness import Witness
from njord.backtest.recorded_run import RecordedRows
from njord.core.accounts import AccountTerms, make_account
from njord.core.codec import decode
from njord.core.contracts import VENUE, Bar, FillEvent, FundingEvent, OrderIntent, Ref
from njord.core.instrument import Instrument
from njord.core.types import BUY, SELL, InstrumentKind
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import read_blocks
from njord.storage.tape import records
from njord.system import SystemSpec
from tests.unit.apps.paper_world import World
from tests.unit.storage.journal_disks import SimDisk

CAPITAL = Decimal(10_000)
WINDOW_NS = 50


def spec(kind: InstrumentKind = InstrumentKind.SPOT) -> SystemSpec:
    """Return what a witness needs to know: one instrument whose ticks and lots are 1."""
    traded = Instrument(
        symbol="AAA/USDT",
        venue="sim",
        base="AAA",
        quote="USDT",
        tick_size=Decimal(1),
        lot_size=Decimal(1),
        kind=kind,
    )
    return SystemSpec(
        run_id="run",
        account_id="main",
        report_asset="USDT",
        capital=CAPITAL,
        instruments=(traded,),
        strategies=(),
        risk_profile="research",
        risk_rules={},
        cost_bps=Decimal(0),
        account=AccountTerms(kind="perpetual" if kind is InstrumentKind.LINEAR else "margin"),
    )


class Scene:
    """Tells a witness a story; the account's snapshots are made as a ledger makes them."""

    def __init__(self, kind: InstrumentKind = InstrumentKind.SPOT) -> None:
        self.witness = Witness(spec(kind))
        own = spec(kind)
        self._account = make_account(own.account, own.instruments, "USDT", CAPITAL)
        self._n_fills = 0

    def price(self, ts_ns: int, ticks: int) -> "Scene":
        """A bar closes."""
        self.witness.append(
            Bar(
                ts_ns=ts_ns,
                instrument=0,
                ts_open_ns=ts_ns - 1,
                open=ticks,
                high=ticks,
                low=ticks,
                close=ticks,
            )
        )
        return self

    def decide(self, ts_ns: int, lots: int, intent_id: str = "mine-1", strategy_id: str = "mine") -> "Scene":
        """A market order is wanted: lots > 0 are bought."""
        self.witness.append(
            OrderIntent(
                ts_ns=ts_ns,
                strategy_id=strategy_id,
                intent_id=intent_id,
                side=BUY if lots > 0 else SELL,
                qty_lots=abs(lots),
            )
        )
        return self

    def fill(
        self,
        ts_ns: int,
        lots: int,
        ticks: int,
        fee: str = "0",
        intent_id: str = "mine-1",
        fee_asset: str = "USDT",
        strategy_id: str = "mine",
    ) -> "Scene":
        """An order is filled."""
        self._n_fills += 1
        fill = FillEvent(
            ts_ns=ts_ns,
            ts_venue_ns=ts_ns,
            instrument=0,
            account_id="main",
            strategy_id=strategy_id,
            intent_id="" if strategy_id == VENUE else intent_id,
            client_order_id=intent_id,
            side=BUY if lots > 0 else SELL,
            price_ticks=ticks,
            qty_lots=abs(lots),
            fee=Decimal(fee),
            fee_asset=fee_asset,
            is_maker=False,
            venue_trade_id=f"T{self._n_fills}",
        )
        self.witness.append(fill)
        for snapshot in self._account.apply_fill(fill, [ticks]):
            self.witness.append(snapshot)
        return self

    def fund(self, ts_ns: int, amount: str) -> "Scene":
        """A payment comes, or goes."""
        event = FundingEvent(
            ts_ns=ts_ns,
            instrument=0,
            account_id="main",
            rate=Decimal("0.0001"),
            mark_ticks=100,
            amount=Decimal(amount),
            asset="USDT",
            ts_venue_ns=ts_ns,
        )
        self.witness.append(event)
        for snapshot in self._account.apply_funding(event, [100]):
            self.witness.append(snapshot)
        return self


def parts_of(session: Scene, backtest: Scene, *, has_same_data: bool = True) -> Parts:
    """Return the gap between two sides, taken apart."""
    sides = Sides(session.witness, backtest.witness, has_same_data)
    pairs = pair_up(session.witness.decisions, backtest.witness.decisions, WINDOW_NS)
    return gap(shares(pairs, sides), sides)


def cut_off(folder: Path, world: World, n_messages: int) -> Path:
    """Leave a session as a crash would have left it after its first `n_messages`; return its folder."""
    facts = msgspec.json.decode((folder / "session.json").read_bytes())
    for name in ("journal_head", "n_messages"):
        facts.pop(name, None)
    (folder / "session.json").write_bytes(msgspec.json.encode(facts))
    shutil.move(folder / "journal", folder / f"whole-{n_messages}")
    rows = RecordedRows(world.prepared.market)
    writer = JournalWriter(folder / "journal", SimDisk())
    for recorded in records(read_blocks(folder / f"whole-{n_messages}")):
        if recorded.seq > n_messages:
            break
        message = rows.next(recorded.seq) if recorded.message is None else decode(recorded.message)
        if isinstance(message, Ref):
            rows.refer(message, recorded.seq)
        writer.append(message)
    writer.sync()
    return folder
