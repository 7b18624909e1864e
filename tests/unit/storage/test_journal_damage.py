"""Every change to a small journal is seen: each byte, line, block and segment, one at a time."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from njord.core.errors import JournalCorrupt
from njord.storage.journal_reader import scan
from tests.unit.storage.journal_samples import segments, write_small

ACCEPTED, CORRUPT, TORN, CUT_OFF = "accepted", "corrupt", "torn", "cut off"

IS_DEEP = os.environ.get("NJORD_TEST_PROFILE") == "deep"


def flipped(old: int) -> tuple[int, ...]:
    return (old ^ 1, old ^ 32, old ^ 128, 10, 32, 0) if IS_DEEP else (old ^ 1,)


def inserted(old: int) -> tuple[int, ...]:
    return (32, 10, 49, old) if IS_DEEP else (32, 10)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    write_small(tmp_path / "journal")
    return tmp_path / "journal"


def outcome(directory: Path) -> tuple[str, str]:
    """What a reader is told, and the message."""
    try:
        state = scan(directory)
    except JournalCorrupt as error:
        return CORRUPT, str(error)
    if state.torn_bytes:
        return TORN, f"at byte {state.tail_offset}"
    return (ACCEPTED if state.is_complete else CUT_OFF), ""


def changed_bytes(data: bytes, at: int) -> Iterator[bytes]:
    """Yield `data` with one byte flipped, deleted, inserted or doubled at `at`."""
    old, rest = data[at], data[at + 1 :]
    for new in flipped(old):
        if new != old:
            yield data[:at] + bytes((new,)) + rest
    yield data[:at] + rest
    for new in inserted(old):
        yield data[:at] + bytes((new,)) + data[at:]


@pytest.mark.integration
def test_every_change_of_every_byte_is_detected_and_located(journal: Path) -> None:
    paths = segments(journal)
    assert outcome(journal) == (ACCEPTED, "")
    for path in paths:
        data = path.read_bytes()
        closing = data.rindex(b'{"block":') if path == paths[-1] else len(data)
        for at in range(len(data)):
            for changed in changed_bytes(data, at):
                path.write_bytes(changed)
                found, text = outcome(journal)
                where = f"{path.name} byte {at}: {changed[at : at + 1]!r}"
                if found == TORN:
                    assert at >= closing, where
                else:
                    assert found == CORRUPT, where
                    assert str(journal) in text
                located = re.search(r"byte (\d+)", text)
                assert located is not None, text
                if path.name in text:
                    assert int(located[1]) <= at + 1, (
                        where
                    )  # A line break put before a line break is one after it.
        path.write_bytes(data)


def test_bytes_added_after_the_end_are_detected(journal: Path) -> None:
    path = segments(journal)[-1]
    data = path.read_bytes()
    last_line = data.splitlines(keepends=True)[-1]
    for added, expected in (
        (b"x", TORN),
        (b"\0" * 512, TORN),
        (b'{"seq":12,"message":{}}\n', TORN),
        (b"\n", CORRUPT),
        (last_line, CORRUPT),
        (b'{"end":true}\n' + last_line, CORRUPT),
    ):
        path.write_bytes(data + added)
        assert outcome(journal)[0] == expected, added


def test_bytes_added_to_an_earlier_segment_are_never_taken_for_a_torn_tail(journal: Path) -> None:
    for path in segments(journal)[:-1]:
        data = path.read_bytes()
        for added in (b"x", b'{"seq":12,"message":{}}\n', b"\0" * 512):
            path.write_bytes(data + added)
            found, text = outcome(journal)
            assert found == CORRUPT
            assert f"{path.name} is cut off at byte {len(data)}" in text
        path.write_bytes(data)


def rearranged(parts: list[bytes]) -> Iterator[tuple[str, int, list[bytes]]]:
    """Yield `parts` with one deleted, doubled, or swapped with another."""
    for at, part in enumerate(parts):
        yield "deleted", at, parts[:at] + parts[at + 1 :]
        yield "doubled", at, [*parts[: at + 1], part, *parts[at + 1 :]]
        for other in range(at + 1, len(parts)):
            swapped = parts.copy()
            swapped[at], swapped[other] = swapped[other], swapped[at]
            yield "swapped", at, swapped


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def blocks_of(data: bytes) -> list[bytes]:
    head, *lines = lines_of(data)
    blocks, current = [], b""
    for line in lines:
        current += line
        if line.startswith(b'{"block"'):
            blocks.append(current)
            current = b""
    return [head, *blocks]


@pytest.mark.parametrize("cut", [lines_of, blocks_of])
def test_every_line_or_block_deleted_doubled_or_swapped_is_detected(
    journal: Path, cut: Callable[[bytes], list[bytes]]
) -> None:
    paths = segments(journal)
    for path in paths:
        data = path.read_bytes()
        parts = cut(data)
        for what, at, changed in rearranged(parts):
            path.write_bytes(b"".join(changed))
            found, _ = outcome(journal)
            # What is missing at the very end is a cut, and is reported as one: there the end mark or a hash is gone.
            is_tail = path == paths[-1] and what == "deleted" and at == len(parts) - 1
            assert found in ((TORN, CUT_OFF) if is_tail else (CORRUPT,)), f"{path.name}: {what} {at}"
        path.write_bytes(data)


def test_every_segment_deleted_doubled_or_swapped_is_detected(journal: Path) -> None:
    paths = segments(journal)
    contents = [path.read_bytes() for path in paths]
    for what, at, changed in rearranged(contents):
        for path in segments(journal):
            path.unlink()
        for number, data in enumerate(changed, start=1):
            (journal / f"{number:06d}.ndjson").write_bytes(data)
        found, _ = outcome(journal)
        is_tail = what == "deleted" and at == len(contents) - 1
        assert found == (CUT_OFF if is_tail else CORRUPT), f"{what} {at}"


def test_a_deleted_segment_that_leaves_a_hole_in_the_names_is_detected(journal: Path) -> None:
    for path in segments(journal)[:-1]:
        data = path.read_bytes()
        path.unlink()
        found, text = outcome(journal)
        assert found == CORRUPT
        assert f"{path.name} is missing" in text
        path.write_bytes(data)


def test_a_segment_of_another_journal_is_detected(journal: Path, tmp_path: Path) -> None:
    # The same messages after another beginning: only the chain can tell.
    other = tmp_path / "other"
    shutil.copytree(journal, other)
    first = segments(journal)[0]
    text = first.read_bytes()
    write_small(tmp_path / "third")
    foreign = segments(tmp_path / "third")[0].read_bytes().replace(b'"key":"k"', b'"key":"j"')
    first.write_bytes(foreign)
    assert outcome(journal)[0] == CORRUPT
    first.write_bytes(text)
    assert outcome(journal)[0] == ACCEPTED


@pytest.mark.integration
def test_a_cut_in_an_earlier_segment_is_never_taken_for_a_torn_tail(journal: Path) -> None:
    for path in segments(journal)[:-1]:
        data = path.read_bytes()
        for size in range(len(data)):
            path.write_bytes(data[:size])
            found, _ = outcome(journal)
            assert found == CORRUPT, f"{path.name} cut to {size}"
        path.write_bytes(data)
