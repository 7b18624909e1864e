"""The journal as written and read back: its form, its chain, its end, and what it refuses."""

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from njord.core.contracts import TimerFired
from njord.core.errors import JournalCorrupt, JournalError, JournalHalted
from njord.storage.journal import BLOCK_BYTES, JournalWriter, Seam
from njord.storage.journal_reader import GENESIS, block_hash, list_segments, read_blocks, scan
from tests.unit.storage.journal_samples import (
    bar,
    messages,
    ref,
    segments,
    timer,
    trade,
    write_small,
)


def test_what_was_appended_is_read_back_in_order_and_under_its_number(tmp_path: Path) -> None:
    write_small(tmp_path)
    assert messages(tmp_path) == {
        1: timer(1),
        2: timer(2),
        3: ref(3, 4),
        5: timer(5),
        8: timer(8),
        9: timer(9),
        10: timer(10),
        11: timer(11),
    }


def test_a_closed_journal_says_that_it_is_complete_and_where_it_ends(tmp_path: Path) -> None:
    writer = write_small(tmp_path)
    state = scan(tmp_path)
    assert (state.last_seq, state.head) == (11, writer.head)
    assert state.is_complete
    assert state.rows_outstanding == 1
    assert state.n_segments == len(segments(tmp_path)) == 3
    assert writer.n_messages == 11


def test_a_journal_that_was_not_closed_is_not_complete(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(timer(1))
    writer.sync()
    state = scan(tmp_path)
    assert state.last_seq == 1
    assert not state.is_complete


def test_every_block_hashes_the_hash_before_it_its_range_and_its_lines(tmp_path: Path) -> None:
    write_small(tmp_path)
    previous, lines = GENESIS, b""
    for path in segments(tmp_path):
        for number, text in enumerate(path.read_bytes().splitlines(keepends=True)):
            record = cast(dict[str, Any], json.loads(text))
            if number == 0:
                assert record["segment"] == {"number": int(path.stem), "previous": previous}
            elif "block" in record:
                closing = record["block"]
                assert closing["hash"] == block_hash(previous, closing["first"], closing["last"], lines)
                previous, lines = closing["hash"], b""
            else:
                lines += text
    assert previous == scan(tmp_path).head


def test_the_same_messages_make_the_same_bytes_and_one_other_message_another_head(tmp_path: Path) -> None:
    first, second = write_small(tmp_path / "a"), write_small(tmp_path / "b")
    assert first.head == second.head
    for one, other in zip(segments(tmp_path / "a"), segments(tmp_path / "b"), strict=True):
        assert one.read_bytes() == other.read_bytes()
    third = JournalWriter(tmp_path / "c")
    third.append(timer(1))
    third.close()
    assert third.head != first.head


def test_a_block_after_another_history_has_another_hash(tmp_path: Path) -> None:
    hashes = []
    for name, first in (("a", timer(1)), ("b", timer(2))):
        writer = JournalWriter(tmp_path / name)
        writer.append(first)
        writer.commit()
        writer.append(timer(3))
        writer.close()
        hashes.append([block.hash for block in read_blocks(tmp_path / name)][1])
    assert hashes[0] != hashes[1]


def test_a_block_is_hashed_as_the_documentation_says() -> None:
    text = f"{GENESIS}\n3 7\n".encode() + b"lines\n"
    assert block_hash(GENESIS, 3, 7, b"lines\n") == hashlib.sha256(text).hexdigest()


def test_segments_turn_over_once_they_are_full_and_not_before(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, segment_bytes=1_000)
    for number in range(1, 101):
        writer.append(timer(number))
        writer.commit()
    writer.close()
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert len(sizes) > 5
    assert all(1_000 <= size < 1_400 for size in sizes[:-1])


def test_a_block_is_closed_by_itself_before_it_fills_the_memory(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    large = TimerFired(ts_ns=1, strategy_id="s", instrument=0, key="k" * (BLOCK_BYTES // 4), due_ns=1)
    for _ in range(6):
        writer.append(large)
    assert scan(tmp_path).last_seq == 4
    writer.close()
    assert [block.last for block in read_blocks(tmp_path)] == [4, 6]


def test_only_market_data_of_the_referenced_instrument_counts_as_a_referenced_row(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(ref(1, 2))
    writer.append(trade(2, instrument=1))
    writer.append(bar(3))
    writer.append(bar(4, instrument=1))
    writer.append(bar(5))
    writer.append(bar(6))
    writer.close()
    assert sorted(messages(tmp_path)) == [1, 2, 4, 6]
    assert scan(tmp_path).rows_outstanding == 0


def test_rows_of_several_referenced_instruments_count_and_a_resumed_journal_goes_on_so(
    tmp_path: Path,
) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(ref(1, 2))
    writer.append(replace(ref(1, 2), instrument=1))
    writer.append(bar(3))
    writer.append(bar(4, instrument=1))
    writer.append(bar(4, instrument=2))
    writer.commit()
    assert (scan(tmp_path).rows_outstanding, scan(tmp_path).rows_instruments) == (2, (0, 1))
    resumed, _ = JournalWriter.resume(tmp_path)
    resumed.append(bar(5, instrument=1))
    resumed.append(bar(5))
    resumed.append(bar(6))
    resumed.close()
    assert sorted(messages(tmp_path)) == [1, 2, 5, 8]
    assert (scan(tmp_path).rows_outstanding, scan(tmp_path).rows_instruments) == (0, ())


def test_a_message_that_can_not_be_encoded_takes_no_number_and_leaves_no_hole(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append(timer(1))
    with pytest.raises(TypeError):
        writer.append(TimerFired(ts_ns=2, strategy_id="s", instrument=0, key=cast(str, object()), due_ns=2))
    writer.append(timer(2))
    writer.close()
    assert messages(tmp_path) == {1: timer(1), 2: timer(2)}


def test_an_empty_journal_is_closed_and_complete(tmp_path: Path) -> None:
    JournalWriter(tmp_path).close()
    assert scan(tmp_path).is_complete
    assert messages(tmp_path) == {}


def test_a_second_writer_does_not_start_over_a_journal_that_is_there(tmp_path: Path) -> None:
    write_small(tmp_path)
    before = [path.read_bytes() for path in segments(tmp_path)]
    with pytest.raises(JournalError, match="holds a journal already; resume it"):
        JournalWriter(tmp_path)
    assert [path.read_bytes() for path in segments(tmp_path)] == before


def test_a_closed_writer_takes_nothing_more(tmp_path: Path) -> None:
    writer = write_small(tmp_path)
    with pytest.raises(JournalHalted, match="CLOSED"):
        writer.append(timer(12))
    with pytest.raises(JournalHalted, match="CLOSED"):
        writer.sync()
    writer.close()
    assert scan(tmp_path).last_seq == 11


def test_reading_where_nothing_is_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal in"):
        list(read_blocks(tmp_path / "nowhere"))
    assert scan(tmp_path / "nowhere").n_segments == 0


def test_a_segment_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    write_small(tmp_path)
    segments(tmp_path)[1].unlink()
    (tmp_path / "000002.ndjson").mkdir()
    with pytest.raises(JournalError, match=r"000002\.ndjson can not be read"):
        scan(tmp_path)


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    write_small(tmp_path)
    segments(tmp_path)[1].unlink()
    with pytest.raises(JournalCorrupt, match=r"000002\.ndjson is missing: the next segment is 000003"):
        list_segments(tmp_path)


def test_a_reader_that_needs_the_whole_journal_refuses_a_cut_one(tmp_path: Path) -> None:
    write_small(tmp_path)
    assert len(list(read_blocks(tmp_path, must_be_complete=True))) == 5
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:-1])
    with pytest.raises(JournalError, match=r"cut off after message 10: \d+ bytes of a torn tail follow"):
        list(read_blocks(tmp_path, must_be_complete=True))
    last.unlink()
    with pytest.raises(JournalError, match="its end mark is missing"):
        list(read_blocks(tmp_path, must_be_complete=True))


def test_rows_that_no_ref_names_are_damage_even_under_a_right_hash(tmp_path: Path) -> None:
    write_small(tmp_path)
    path = segments(tmp_path)[0]
    head = path.read_bytes().splitlines(keepends=True)[0]
    digest = block_hash(GENESIS, 1, 1, b"")
    path.write_bytes(head + b'{"block":{"first":1,"last":1,"hash":"%b"}}\n' % digest.encode())
    for later in segments(tmp_path)[1:]:
        later.unlink()
    with pytest.raises(JournalCorrupt, match="messages 1 to 1 count rows that no Ref names"):
        scan(tmp_path)


def test_resuming_after_a_clean_end_goes_on_with_the_next_number(tmp_path: Path) -> None:
    before = write_small(tmp_path)
    writer, seam = JournalWriter.resume(tmp_path, segment_bytes=400)
    assert seam is None
    assert (writer.head, writer.n_messages) == (before.head, 11)
    writer.append(bar(12))  # The last row that the Ref of message 3 named.
    writer.append(bar(13))
    writer.append(timer(14))
    writer.close()
    state = scan(tmp_path)
    assert (state.last_seq, state.is_complete, state.rows_outstanding, state.seams) == (14, True, 0, [])
    assert sorted(messages(tmp_path))[-3:] == [11, 13, 14]


def test_a_resumed_journal_is_complete_again_only_when_it_is_closed_again(tmp_path: Path) -> None:
    write_small(tmp_path)
    writer, _ = JournalWriter.resume(tmp_path)
    assert scan(tmp_path).is_complete
    writer.append(timer(12))
    writer.sync()
    assert not scan(tmp_path).is_complete
    writer.close()
    assert scan(tmp_path).is_complete


def test_resuming_where_nothing_is_begins_a_journal(tmp_path: Path) -> None:
    writer, seam = JournalWriter.resume(tmp_path / "new")
    assert seam is None
    writer.append(timer(1))
    writer.close()
    assert messages(tmp_path / "new") == {1: timer(1)}


def test_a_seam_is_in_the_chain_as_soon_as_the_journal_is_resumed(tmp_path: Path) -> None:
    write_small(tmp_path)
    last = segments(tmp_path)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-5])
    tail_offset = scan(tmp_path).tail_offset
    _, seam = JournalWriter.resume(tmp_path)
    assert seam == Seam("000003.ndjson", tail_offset, len(whole) - 5 - tail_offset)
    state = scan(tmp_path)
    assert state.seams == [seam]
    assert state.torn_bytes == 0
    kept = tmp_path / f"torn-000003-{tail_offset}.bin"
    assert kept.read_bytes() == whole[tail_offset:-5]


def test_torn_bytes_kept_aside_are_never_overwritten(tmp_path: Path) -> None:
    write_small(tmp_path)
    last = segments(tmp_path)[-1]
    last.write_bytes(last.read_bytes()[:-5])
    tail_offset = scan(tmp_path).tail_offset
    first = tmp_path / f"torn-000003-{tail_offset}.bin"
    first.write_bytes(b"from an earlier crash")
    JournalWriter.resume(tmp_path)
    assert first.read_bytes() == b"from an earlier crash"
    assert (tmp_path / f"torn-000003-{tail_offset}-2.bin").exists()


def test_resuming_a_damaged_journal_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    write_small(tmp_path)
    path = segments(tmp_path)[0]
    damaged = path.read_bytes().replace(b'"due_ns":1', b'"due_ns":7')
    path.write_bytes(damaged)
    with pytest.raises(JournalCorrupt, match=r"000001\.ndjson: the block of messages 1 to 2 at byte"):
        JournalWriter.resume(tmp_path)
    assert path.read_bytes() == damaged
