"""The recorded capture: every line is read, the book follows its snapshot without a hole, and agrees with the venue."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from njord.core.units import NS_PER_MS
from njord.data.book_replay import book_at, check_quotes
from njord.storage.ingest.capture import Capture, open_capture
from njord.storage.ingest.capture_lines import LineKind, read_line
from njord.storage.ingest.capture_reader import CaptureReader
from njord.storage.store.kinds import COLUMNS, DataKind
from tests.unit.storage.ingest.capture_samples import Usual

pytestmark = pytest.mark.integration

ETH = "ETH/USDT"
NAME = "ETHUSDT-binance-spot-20240808.jsonl.gz"
SNAPSHOT_LINE = 6
Rows = dict[DataKind, list[list[int]]]


@pytest.fixture
def path(recordings: Path) -> Path:
    return recordings / "capture" / NAME


@pytest.fixture
def lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


@pytest.fixture
def capture(path: Path) -> Iterator[Capture]:
    with open_capture([path]) as opened:
        yield opened


def rows_of(capture: Capture) -> Rows:
    return {
        kind: np.concatenate(
            [np.stack(list(block.values())) for block in capture.rows(ETH, kind)], axis=1
        ).tolist()
        for kind in (DataKind.TRADES, DataKind.BOOK, DataKind.QUOTES)
    }


def test_all_33_618_lines_are_read(capture: Capture) -> None:
    facts = capture.facts
    assert (facts.n_lines, facts.n_torn, facts.n_backwards, facts.skipped) == (33_618, 0, 0, ())
    assert facts.lines == {"depthUpdate": 3_434, "trade": 6_106, "bookTicker": 24_077, "snapshot": 1}
    assert facts.n_unusual == 2  # The first line of a new symbol, and the snapshot.
    assert capture.symbols == (ETH,)
    instrument = capture.instrument(ETH)
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.01"), Decimal("0.00001"))


def test_rows_are_what_the_text_says(capture: Capture, lines: list[bytes]) -> None:
    expected: Rows = {kind: [[] for _ in COLUMNS[kind]] for kind in (DataKind.TRADES, DataKind.QUOTES)}
    tick, lot = Decimal("0.01"), Decimal("0.00001")
    for line in lines:
        message = json.loads(line[20:])
        data = message.get("data", message)
        ts_ns = int(line[:19])
        if data.get("e") == "trade":
            row = [ts_ns, data["T"] * NS_PER_MS, data["t"], -1 if data["m"] else 1, Decimal(data["p"]) / tick, Decimal(data["q"]) / lot]  # fmt: skip
        elif "B" in data:
            row = [ts_ns, data["u"], Decimal(data["b"]) / tick, Decimal(data["B"]) / lot, Decimal(data["a"]) / tick, Decimal(data["A"]) / lot]  # fmt: skip
        else:
            continue
        kind = DataKind.TRADES if data.get("e") else DataKind.QUOTES
        for column, value in zip(expected[kind], row, strict=True):
            column.append(int(value))
    found = rows_of(capture)
    assert found[DataKind.TRADES] == expected[DataKind.TRADES]
    assert found[DataKind.QUOTES] == expected[DataKind.QUOTES]


def test_both_readings_say_the_same_of_every_line(lines: list[bytes]) -> None:
    usual = Usual("ETHUSDT")
    for line in lines:
        text = line.rstrip(b"\n")
        strict = read_line(text)
        assert usual.read(text) == (None if strict.kind is LineKind.SNAPSHOT else strict)


def test_3_432_changes_follow_the_snapshot_and_577_of_577_quotes_agree(capture: Capture) -> None:
    check = check_quotes(capture.rows(ETH, DataKind.BOOK), capture.rows(ETH, DataKind.QUOTES))
    audit = check.audit
    assert (audit.n_applied, audit.n_dropped, audit.n_gaps, audit.n_old, audit.n_overlapping) == (
        3_432,
        2,
        0,
        0,
        0,
    )
    assert (audit.n_snapshots, audit.is_synced, audit.n_crossed) == (1, True, 0)
    assert (check.n_both, check.n_equal, check.mismatches) == (577, 577, ())


def test_the_book_at_a_time_is_that_of_the_events_until_then(capture: Capture, lines: list[bytes]) -> None:
    at_ns = int(lines[10_000][:19])
    book, audit = book_at(capture.rows(ETH, DataKind.BOOK), at_ns)
    bids: dict[str, str] = {}
    asks: dict[str, str] = {}
    n_applied = 0
    for line in lines:
        data = json.loads(line[20:])
        data = data.get("data", data)
        if int(line[:19]) > at_ns:
            break
        if "lastUpdateId" in data:
            bids, asks = dict(data["bids"]), dict(data["asks"])
        elif data.get("e") == "depthUpdate" and bids:
            n_applied += 1
            bids.update(data["b"])
            asks.update(data["a"])
    assert audit.n_applied == n_applied
    for found, text, reverse in ((book.bids(10_000), bids, True), (book.asks(10_000), asks, False)):
        exact = {Decimal(price): Decimal(qty) for price, qty in text.items() if Decimal(qty)}
        levels = [
            (level.price_ticks * Decimal("0.01"), level.qty_lots * Decimal("0.00001")) for level in found
        ]
        assert levels == sorted(exact.items(), reverse=reverse)


@pytest.mark.parametrize("border", [1, SNAPSHOT_LINE - 1, SNAPSHOT_LINE, 7, 16_809, 33_617])
@pytest.mark.parametrize("cut_inside", [0, 8, 30])
def test_a_capture_in_two_files_is_the_same_capture(
    capture: Capture, lines: list[bytes], tmp_path: Path, border: int, cut_inside: int
) -> None:
    text, at = b"".join(lines), len(b"".join(lines[:border])) + cut_inside
    paths = [tmp_path / "1.jsonl", tmp_path / "2.jsonl.gz"]
    paths[0].write_bytes(text[:at])
    paths[1].write_bytes(gzip.compress(text[at:], 1))
    with open_capture(paths) as split:
        assert rows_of(split) == rows_of(capture)
        assert split.assumptions == capture.assumptions
        assert (split.facts.n_lines, split.facts.n_torn) == (33_618, 0)


def test_a_missing_piece_is_one_hole_with_its_ids(lines: list[bytes], tmp_path: Path) -> None:
    changes = [at for at, line in enumerate(lines) if b"depthUpdate" in line]
    missing = changes[1_000]
    before, after = (json.loads(lines[changes[at]][20:])["data"] for at in (999, 1_001))
    path = tmp_path / "holed.jsonl"
    path.write_bytes(b"".join(lines[:missing] + lines[missing + 1 :]))
    with open_capture([path]) as holed:
        _, audit = book_at(holed.rows(ETH, DataKind.BOOK))
    (gap,) = audit.gaps
    assert (gap.book_id, gap.first_id, gap.last_id) == (before["u"], after["U"], after["u"])
    assert gap.ts_ns == int(lines[changes[1_001]][:19])
    assert (audit.n_gaps, audit.is_synced, audit.n_applied, audit.n_waiting) == (1, False, 998, 2_433)


def test_memory_does_not_grow_with_what_a_file_decompresses_to(lines: list[bytes], tmp_path: Path) -> None:
    # Half a gigabyte of one line over and over packs into a small file.
    path = tmp_path / "bomb.gz"
    many = lines[0] * (2**22 // len(lines[0]))
    with gzip.open(path, "wb", 1) as file:
        for _ in range(64):
            file.write(many)
    script = (
        "import sys; from pathlib import Path; from njord.storage.ingest.capture_reader import CaptureReader\n"
        "reader = CaptureReader([Path(sys.argv[1])]); n = sum(len(block.columns['ts_ns']) for block in reader)\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(n, reader.facts.n_bytes, peak.split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    n_rows, n_bytes, peak_kib = map(int, done.stdout.split())
    assert n_rows == 64 * (2**22 // len(lines[0]))
    assert n_bytes == 64 * len(many)
    assert peak_kib < 400 * 1024


def test_everything_works_without_compiled_kernels() -> None:
    tests = [
        "kernels/test_book.py",
        "kernels/test_capture.py",
        "data/test_book.py",
        "storage/ingest/test_capture.py",
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *(f"tests/unit/{name}" for name in tests),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:]


def test_a_reader_hands_out_rows_in_the_order_of_the_stream(path: Path) -> None:
    last: dict[LineKind, int] = {}
    for block in CaptureReader([path]):
        times = block.columns["ts_ns"]
        assert (np.diff(times) >= 0).all()
        assert last.get(block.line, 0) <= times[0]
        last[block.line] = int(times[-1])
