"""A session and the backtest of what it saw do the same, wherever it ended; other terms leave a gap that adds up."""

import re
from collections.abc import AsyncGenerator, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.adapters.kill_switch_watch import Reading
from njord.apps.node import NodeOptions
from njord.apps.paced_feed import behind
from njord.apps.session import Session
from njord.apps.stop import StopPolicy
from njord.audit.parity import Parity, parity
from njord.audit.parity_gap import Parts
from njord.audit.parity_text import lines
from njord.backtest.market import MarketBlock
from njord.backtest.market_feed import FeedMarket
from njord.backtest.replay import replay_run
from njord.core.contracts import Alert, Bar
from njord.core.errors import ConfigError, DataError, JournalCorrupt
from njord.core.types import Severity, TradingState
from njord.core.units import EXACT, NS_PER_MINUTE, ZERO
from tests.unit.apps.paper_world import ACTIVE, N_BARS, TRIPPED, World, make_world, open_session, run
from tests.unit.apps.paper_world import lines as journal_lines
from tests.unit.audit.parity_scene import cut_off
from tests.unit.backtest.market_samples import write_bars
from tests.unit.storage.journal_disks import SimDisk

pytestmark = pytest.mark.integration  # Each runs whole verbs: together they take seconds.

LATENCY_NS = "60000000000"  # A bar: what is decided fills a bar later.


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path)
    with world.prepared.market:
        yield world


def played(world: World, **how: object) -> Session:
    session = open_session(world)
    run(session, **how)  # type: ignore[arg-type]
    return session


def assert_match(found: Parity) -> None:
    assert found.is_match, list(lines(found))
    assert (found.decision_match_pct, found.fill_match_pct) == (100.0, 100.0)
    assert found.n_session_decisions == found.n_backtest_decisions == found.n_matched_decisions
    assert (found.gap, found.parts, found.largest, found.first_difference) == (ZERO, Parts(), (), "")


def test_a_session_to_the_end_of_its_data_matches_its_backtest(world: World) -> None:
    session = played(world)
    found = parity(session.folder, {})
    assert_match(found)
    assert found.complete
    assert found.n_rows == N_BARS
    assert found.n_session_fills == len(session.recorder.fills) > 5
    account = session.system.ledger.account
    equity = account.equity(session.system.ledger.mark_ticks)
    assert found.session_pnl == EXACT.subtract(equity or ZERO, world.prepared.spec.capital) != 0


@pytest.mark.parametrize(
    "trip", [TRIPPED, Reading(TradingState.HALTED, "file", "drill", "ann", flattens=True)]
)
def test_a_trip_of_the_kill_switch_is_a_fact_that_the_backtest_is_told_too(
    world: World, trip: Reading
) -> None:
    session = played(world, reading_at=lambda row: trip if 26 <= row < 41 else ACTIVE)
    assert b"drill" in (session.folder / "journal" / "000001.ndjson").read_bytes()
    found = parity(session.folder, {})
    assert_match(found)
    other = make_world(_other(world.root))
    with other.prepared.market:
        without = parity(played(other).folder, {})
    assert without.n_session_decisions != found.n_session_decisions


def _other(root: Path) -> Path:
    folder = root / "other"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("policy", "stop_at"), [(StopPolicy.CANCEL, 25), (StopPolicy.FLATTEN, 25), (StopPolicy.LEAVE, 1)]
)
def test_a_stopped_session_matches_so_far_and_goes_on_to_match(
    world: World, policy: StopPolicy, stop_at: int
) -> None:
    options = NodeOptions(stop_policy=policy, commit_every_s=0)
    session = played(world, stop_at=stop_at, options=options)
    so_far = parity(session.folder, {})
    assert_match(so_far)
    assert not so_far.complete
    assert so_far.n_rows == session.n_rows
    verdict = replay_run(session.folder)
    assert (verdict.identical, verdict.complete) == (True, False)
    resumed = played(world)
    assert resumed.folder == session.folder
    found = parity(session.folder, {})
    assert_match(found)
    assert found.complete


@pytest.mark.parametrize("part", [0.1, 0.42, 0.55, 0.81, 0.98])
def test_a_session_that_was_killed_matches_wherever_it_was_cut(world: World, part: float) -> None:
    session = played(world, reading_at=lambda row: TRIPPED if 26 <= row < 41 else ACTIVE)
    n_messages = int(part * session.journal.n_messages)
    found = parity(cut_off(session.folder, world, n_messages), {})
    assert_match(found)
    assert (found.complete, found.n_messages) == (False, n_messages)
    assert replay_run(session.folder).identical


def test_a_session_that_was_killed_amid_what_a_trip_causes_matches(world: World) -> None:
    session = played(world, reading_at=lambda row: TRIPPED if 26 <= row < 41 else ACTIVE)
    written = journal_lines(session.folder / "journal")
    (at,) = (place for place, line in enumerate(written) if b'"drill"' in line.message)
    assert b"Cancel" in written[at + 1].message
    found = parity(cut_off(session.folder, world, written[at].seq), {})
    assert_match(found)
    assert found.n_session_decisions > 0


def test_a_killed_session_on_other_terms_is_compared_to_the_end_of_its_last_step(world: World) -> None:
    session = played(world)
    written = journal_lines(session.folder / "journal")
    last = max(line.seq for line in written if b'"OrderIntent"' in line.message)
    cut_off(session.folder, world, last - 1)
    assert_match(parity(session.folder, {}))
    found = parity(session.folder, {"backtest.fee_bps": "11"})
    assert found.n_backtest_decisions == found.n_session_decisions + 1


def test_a_torn_tail_is_said_and_is_no_error_of_a_session(world: World) -> None:
    session = played(world, stop_at=30)
    segment = session.folder / "journal" / "000001.ndjson"
    segment.write_bytes(segment.read_bytes() + b'{"seq":')
    verdict = replay_run(session.folder)
    assert (verdict.identical, verdict.complete) == (True, False)
    assert any(note.startswith("7 bytes of a torn tail follow message") for note in verdict.notes)
    damaged = segment.read_bytes().replace(b'"qty_lots":10000000', b'"qty_lots":10000001', 1)
    segment.write_bytes(damaged)
    for look in (replay_run, lambda folder: parity(folder, {})):
        with pytest.raises(JournalCorrupt):
            look(session.folder)


def test_a_later_fill_is_latency_and_missed_fills_and_adds_up(world: World) -> None:
    found = parity(played(world).folder, {"backtest.entry_latency_ns": LATENCY_NS})
    assert not found.is_match
    assert found.n_matched_fills == 0
    assert found.parts.latency
    assert (found.parts.data, found.parts.funding) == (ZERO, ZERO)
    assert found.parts.total == found.gap == EXACT.subtract(found.session_pnl, found.backtest_pnl)
    assert found.changed == {"backtest.entry_latency_ns": LATENCY_NS}
    largest = found.largest[0]
    assert largest.ask == f"njord why {largest.session} --session {found.session}"
    assert found.n_alike_decisions + found.n_matched_decisions <= found.n_session_decisions
    assert all(largest.total.copy_abs() >= each.total.copy_abs() for each in found.largest)
    assert any(each.parts.latency for each in found.largest)


def test_higher_fees_of_the_backtest_are_fees_in_favor_of_the_session(world: World) -> None:
    found = parity(played(world).folder, {"backtest.fee_bps": "20"})
    assert found.decision_match_pct == 100.0
    assert found.fill_match_pct == 100.0
    assert found.parts == Parts(fees=found.gap)
    assert found.gap > 0
    assert not found.is_match


def test_another_last_price_is_data_and_the_kill_switch_is_told_at_its_time(world: World) -> None:
    session = played(world, reading_at=lambda row: TRIPPED if 26 <= row < 41 else ACTIVE)
    folder = _other(world.root)
    text = world.prepared.request.paths[0].read_text().splitlines()
    cells = text[-1].split(",")
    other = folder / world.prepared.request.paths[0].name
    other.write_text("\n".join([*text[:-1], ",".join([cells[0], *["2100"] * 4, cells[5]])]) + "\n")
    found = parity(session.folder, {}, (other,))
    assert found.decision_match_pct == 100.0
    held = session.system.ledger.account.position(0).qty
    assert held
    assert found.data == (other.name,)
    last = Decimal(cells[4])
    assert found.parts == Parts(data=found.gap)
    assert found.gap == EXACT.multiply(held, EXACT.subtract(last, Decimal(2100)))


def test_data_that_do_not_fit_are_refused(world: World, tmp_path: Path) -> None:
    session = played(world)
    other = write_bars(_other(tmp_path), "BTC/USDT", [100, 101, 102])
    with pytest.raises(ConfigError, match="--data has BTC/USDT, the session traded ETH/USDT"):
        parity(session.folder, {}, (other,))
    with pytest.raises(ConfigError, match=r"unknown key backtest\.fee_bsp"):
        parity(session.folder, {"backtest.fee_bsp": "1"})
    (data,) = world.prepared.request.paths
    data.write_text(data.read_text().replace(",5\n", ",6\n", 1))
    for look in (replay_run, lambda folder: parity(folder, {})):
        with pytest.raises(DataError, match="has changed"):
            look(session.folder)
    data.unlink()
    with pytest.raises(DataError, match="is gone"):
        parity(session.folder, {})


def test_the_text_says_what_matched_what_did_not_and_what_to_ask_next(world: World) -> None:
    session = played(world)
    told = list(lines(parity(session.folder, {})))
    assert len(told) == 4
    assert told[0].startswith(f"{session.name} (paper): {N_BARS} market events, ")
    assert told[1].startswith("decisions      100 %, ")
    assert told[3].endswith("gap 0 USDT")
    told = list(lines(parity(session.folder, {"backtest.entry_latency_ns": LATENCY_NS})))
    assert told[1] == f"changed        backtest.entry_latency_ns={LATENCY_NS}"
    assert "first          busy-1 buy market 0.1 ETH/USDT" in "\n".join(told)
    assert re.fullmatch(rf"next: njord why busy-\d+ --session {session.name}", told[-1])


PRICES = st.integers(1_950, 2_100)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "backtest.entry_latency_ns": st.integers(0, 4).map(lambda n: str(n * 15_000_000_000)),
        "backtest.fee_bps": st.integers(0, 50).map(str),
        "backtest.slippage_bps": st.integers(0, 500).map(str),
        "backtest.fee_asset": st.sampled_from(["quote", "received"]),
        "backtest.capital": st.sampled_from(["300", "10000"]),
        "backtest.max_volume_share": st.sampled_from(["0", "0.01", "0.015"]),
    },
)


@pytest.fixture(scope="module")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = make_world(tmp_path_factory.mktemp("session"), settings={"backtest.slippage_bps": "30"})
    with world.prepared.market:
        return played(world, reading_at=lambda row: TRIPPED if 30 <= row < 35 else ACTIVE).folder


@settings(max_examples=5)
@given(changed=SETTINGS, closes=st.none() | st.lists(PRICES, min_size=N_BARS, max_size=N_BARS))
def test_the_parts_of_any_two_runs_add_up_to_the_last_digit(
    session_folder: Path, changed: dict[str, str], closes: list[int] | None
) -> None:
    data = () if closes is None else (write_bars(session_folder, "ETH/USDT", closes),)
    found = parity(session_folder, changed, data)
    assert found.parts.total == found.gap == EXACT.subtract(found.session_pnl, found.backtest_pnl)
    assert found.n_session_fills > 5
    if not changed and not data:
        assert_match(found)
    if not data:
        assert not found.parts.data


class Live:
    """A feed that is recorded by its session alone, a few messages at a time."""

    age_s = None

    def __init__(self, session: Session, blocks: list[MarketBlock]) -> None:
        self._session = session
        self._blocks = blocks

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        """Yield what follows the first `skip_rows` messages."""
        file = self._session.feed_file
        assert file is not None
        for block in behind(file.blocks(), skip_rows):
            yield block
        n_told = sum(len(block.messages) for block in file.blocks())
        for block in behind(self._blocks, n_told):
            for message in block.messages:
                assert isinstance(message, Bar)
                if message.close % 7 == 0:
                    self._session.host.tell(gap_alert(self._session.host.now_ns))
                yield file.append([message])


def gap_alert(ts_ns: int) -> Alert:
    return Alert(
        ts_ns=ts_ns, severity=Severity.WARNING, category="system", source="feed", title="trades are missing"
    )


def test_a_live_session_is_compared_on_what_its_feed_file_holds(world: World) -> None:
    recorded = world.prepared.market
    live = FeedMarket(recorded.instruments, NS_PER_MINUTE, recorded.start_ns, lambda: iter(()))
    prepared = msgspec.structs.replace(world.prepared, market=live)
    for stop_at in (30, None):
        session = Session.open(prepared, world.state, disk=SimDisk(), is_live=True)
        run(session, stop_at=stop_at, feed=Live(session, list(recorded.blocks())))
        found = parity(session.folder, {})
        assert_match(found)
        assert found.n_rows == (stop_at or N_BARS)
        assert found.n_session_fills > 3
        assert replay_run(session.folder).identical
    assert b"trades are missing" in (session.folder / "journal" / "000001.ndjson").read_bytes()
    shifted = parity(session.folder, {"backtest.entry_latency_ns": LATENCY_NS})
    assert shifted.parts.latency
