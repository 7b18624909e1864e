"""What a live feed said is durable before anybody acts on it, and can be read again."""

import errno
import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from njord.apps.feed_file import FeedFile, MarketMessage
from njord.apps.paced_feed import behind
from njord.apps.session import Session
from njord.backtest.feed_blocks import FEED_NAME, read_feed
from njord.backtest.market import Market, MarketBlock
from njord.core.codec import encode
from njord.core.contracts import Bar
from njord.core.errors import JournalCorrupt, JournalHalted
from njord.storage.journal_reader import scan
from tests.unit.apps.paper_world import lines, make_world, open_session, run, state_of
from tests.unit.storage.journal_disks import FailingDisk, SimDisk
from tests.unit.storage.journal_samples import bar, trade


def test_blocks_come_back_as_they_were_with_refs_by_the_hash_of_their_messages(tmp_path: Path) -> None:
    messages: list[MarketMessage] = [bar(1), trade(2, instrument=1), bar(3)]
    with FeedFile(tmp_path / FEED_NAME, SimDisk()) as file:
        first = file.append(messages)
        second = file.append([bar(4)])
        assert list(file.blocks()) == [first, second]
    digest = hashlib.sha256(b"\n".join(encode(message) for message in messages)).hexdigest()
    assert [(ref.instrument, ref.first_row, ref.last_row) for ref in first.refs] == [(0, 0, 1), (1, 0, 0)]
    assert {ref.dataset_hash for ref in first.refs} == {digest}
    assert [list(block.messages) for block in read_feed(tmp_path / FEED_NAME)] == [messages, [bar(4)]]


def test_a_block_is_durable_when_it_is_handed_on(tmp_path: Path) -> None:
    disk = SimDisk()
    with FeedFile(tmp_path / FEED_NAME, disk) as file:
        file.append([bar(1)])
    disk.lose_power()
    assert len(list(read_feed(tmp_path / FEED_NAME))) == 1


@pytest.mark.parametrize("n_kept", [1, 50, 150])
def test_a_line_that_was_cut_off_is_left_out_and_then_cut_off(tmp_path: Path, n_kept: int) -> None:
    path = tmp_path / FEED_NAME
    with FeedFile(path, SimDisk()) as file:
        file.append([bar(1)])
        whole = path.read_bytes()
        file.append([bar(2)])
    path.write_bytes(path.read_bytes()[: len(whole) + n_kept])
    assert len(list(read_feed(path))) == 1
    with FeedFile(path, SimDisk()) as file:
        assert path.read_bytes() == whole
        file.append([bar(3)])
        assert [block.messages for block in file.blocks()] == [(bar(1),), (bar(3),)]


def test_a_changed_message_and_a_line_of_nonsense_are_damage(tmp_path: Path) -> None:
    path = tmp_path / FEED_NAME
    with FeedFile(path, SimDisk()) as file:
        file.append([bar(1)])
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"close":1', b'"close":2'))
    with pytest.raises(JournalCorrupt, match="byte 0 does not match its hash"):
        list(read_feed(path))
    path.write_bytes(whole + b"{}\n")
    with pytest.raises(JournalCorrupt, match="is no block"):
        list(read_feed(path))


def test_a_disk_that_refuses_is_a_halt_and_nothing_more_is_taken(tmp_path: Path) -> None:
    disk = FailingDisk(4, errno.ENOSPC, kinds=("write", "sync"), recovers=True)
    with FeedFile(tmp_path / FEED_NAME, disk) as file:
        file.append([bar(1)])
        with pytest.raises(JournalHalted, match="No space left"):
            file.append([bar(2)])
        with pytest.raises(JournalHalted):
            file.append([bar(3)])
    with pytest.raises(JournalHalted):
        FeedFile(tmp_path / FEED_NAME, FailingDisk(1))


class LiveFeed:
    """A feed that records before it hands on, and can not be asked for the past."""

    age_s = None

    def __init__(self, session: Session, market: Market) -> None:
        self._session = session
        self._market = market

    async def blocks(self, skip_rows: int) -> AsyncGenerator[MarketBlock]:
        file = self._session.feed_file
        assert file is not None
        n_recorded = sum(len(block.messages) for block in file.blocks())
        for block in behind(file.blocks(), skip_rows):
            yield block
        for block in behind(self._market.blocks(), n_recorded):
            bars = [message for message in block.messages if isinstance(message, Bar)]
            for first in range(0, len(bars), 4):
                yield file.append(bars[first : first + 4])


def test_a_live_session_goes_on_from_what_its_feed_said(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    market = world.prepared.market
    with market:
        whole = open_session(world, is_live=True)
        assert run(whole, feed=LiveFeed(whole, market)).finished
        first = open_session(world, is_live=True)
        run(first, feed=LiveFeed(first, market), stop_at=22)
        file = first.folder / FEED_NAME
        assert sum(len(block.messages) for block in read_feed(file)) > 22
        again = open_session(world, is_live=True)
        assert (again.folder, again.n_rows) == (first.folder, 22)
        assert state_of(again) == state_of(first)
        assert run(again, feed=LiveFeed(again, market)).finished
        # The stop has canceled an order, which would have been canceled anyway.
        assert again.n_rows == whole.n_rows
        assert scan(again.folder / "journal").rows_outstanding == 0
        assert not [line for line in lines(again.folder / "journal") if b'"Bar"' in line.message]
