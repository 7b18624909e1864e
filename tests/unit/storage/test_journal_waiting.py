"""An order's messages wait to be encoded together: the bytes and the blocks are those of one at a time."""

import re
from pathlib import Path
from typing import cast

import msgspec
import pytest

from njord.core.codec import encode
from njord.core.contracts import OrderUpdate
from njord.core.errors import JournalHalted
from njord.core.types import OrderStatus
from njord.storage.journal import BLOCK_BYTES, JournalWriter
from njord.storage.journal_reader import scan
from tests.unit.storage.journal_samples import messages, segments, timer


def update(number: int, detail: str = "") -> OrderUpdate:
    return OrderUpdate(
        ts_ns=number,
        instrument=0,
        account_id="main",
        strategy_id="s",
        intent_id=f"s-{number}",
        client_order_id=f"NJ-{number}",
        status=OrderStatus.ACCEPTED,
        detail=detail,
        ts_venue_ns=number,
    )


def test_what_waits_is_written_in_its_place_and_with_the_same_bytes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    every = [update(1), update(2), timer(3), update(4)]
    for message in every:
        writer.append(message)
    writer.close()
    lines = segments(tmp_path)[0].read_bytes().splitlines()[1:5]
    assert lines == [b'{"seq":%d,"message":%b}' % (n, encode(each)) for n, each in enumerate(every, 1)]
    assert scan(tmp_path).is_complete


def test_a_full_block_is_closed_at_the_message_that_fills_it(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    every = [update(number, "x" * 7_000) for number in range(1, 701)]
    size = n_fitting = 0
    for n, message in enumerate(every, 1):
        size += len(b'{"seq":%d,"message":%b}\n' % (n, encode(message)))
        n_fitting += size <= BLOCK_BYTES
        writer.append(message)
    writer.close()
    closed = re.findall(rb'\{"block":\{"first":(\d+),"last":(\d+)', segments(tmp_path)[0].read_bytes())
    assert closed[0] == (b"1", b"%d" % (n_fitting + 1))
    assert len(messages(tmp_path)) == len(every)


def test_a_waiting_message_that_can_not_be_encoded_halts_the_journal(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(update(1))
    writer.commit()
    writer.append(update(2))
    writer.append(msgspec.structs.replace(update(3), detail=cast(str, object())))
    with pytest.raises(TypeError):
        writer.sync()
    with pytest.raises(JournalHalted, match="UNWRITABLE"):
        writer.append(update(4))
    writer.close()
    assert messages(tmp_path) == {1: update(1)}
