"""The compiled parser and the strict reading say the same of every line that the compiled one takes, and it takes no
line that the strict one refuses."""

import gzip

import lz4.frame
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from njord.storage.ingest.capture_lines import Line, LineKind, read_line
from njord.storage.ingest.capture_reader import CaptureReader
from tests.unit.storage.ingest import capture_samples as samples
from tests.unit.storage.ingest.capture_samples import MS, T0, Usual

USUAL = Usual("ETHUSDT", "BTCUSDT", "A", "1000000MOGUSDT23")
SYMBOLS = st.sampled_from([*USUAL.symbols, "XRPUSDT", "ETHUSDTX", ""])
DIGITS = st.text("0123456789", max_size=12)
AMOUNTS = st.one_of(
    st.builds("{}.{}".format, st.integers(0, 10**11), st.text("0123456789", max_size=10)),
    st.integers(0, 2**64).map(str),
    st.sampled_from(["0", "0.00000000", "00.1", "1.", ".1", "-1", "+1", "1e5", "NaN", "", "92233720368.54775807", "92233720368.54775808", "9999999999.99999999"]),
)  # fmt: skip
IDS = st.one_of(st.integers(0, 10**12), st.sampled_from([0, 10**18 - 1, 10**18, 2**63 - 1, 2**63, -1]))
TIMES = st.one_of(
    st.integers(10**12, 92 * 10**11 - 1),
    st.integers(10**15, 92 * 10**14 - 1),
    st.sampled_from([0, 10**12 - 1, 92 * 10**11, 10**15 - 1, 92 * 10**14, 10**18]),
)
LEVELS = st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=4).map(lambda pairs: samples.levels(*pairs))
PAYLOADS = st.one_of(
    st.builds(samples.trade, IDS, AMOUNTS, AMOUNTS, st.sampled_from(["true", "false", "null"]), SYMBOLS, TIMES, st.sampled_from(["", '"b":88,"a":50,'])),
    st.builds(samples.agg_trade, IDS, AMOUNTS, AMOUNTS, SYMBOLS),
    st.builds(samples.depth, IDS, IDS, LEVELS, LEVELS, SYMBOLS),
    st.builds(samples.ticker, IDS, AMOUNTS, SYMBOLS),
    st.builds(samples.snapshot, IDS, LEVELS, LEVELS),
)  # fmt: skip
RECEIVED = st.one_of(
    st.integers(10**18, 92 * 10**17 - 1), st.sampled_from([10**18 - 1, 92 * 10**17, 2**63, 0])
)
LINES = st.one_of(
    st.builds(samples.raw, PAYLOADS, RECEIVED),
    st.builds(samples.stream, st.sampled_from(["ethusdt@trade", "!ticker", 'a"b', "a\\b", ""]), PAYLOADS, RECEIVED),
).map(str.encode)  # fmt: skip
GOOD = [line.encode() for line in samples.session()]


def strictly(line: bytes) -> Line | None:
    try:
        return read_line(line)
    except ValueError as error:
        assert "\n" not in str(error)
        return None


def agree(line: bytes) -> bool:
    fast = USUAL.read(line)
    if fast is not None:
        assert fast == strictly(line)
    return fast is not None


@given(LINES)
def test_both_readings_agree_on_made_up_lines(line: bytes) -> None:
    agree(line)


@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(st.sampled_from("dirst"), st.integers(0, 400), st.sampled_from(b'0123456789.,:"[]{} \\\n\0-eE')),
        min_size=1,
        max_size=3,
    ),
)  # fmt: skip
def test_both_readings_agree_on_broken_lines(line: bytes, changes: list[tuple[str, int, int]]) -> None:
    broken = bytearray(line)
    for what, at, byte in changes:
        at %= max(1, len(broken))
        if what == "d":
            del broken[at : at + 1]
        elif what == "i":
            broken.insert(at, byte)
        elif what == "r":
            broken[at : at + 1] = bytes([byte])
        elif what == "s":
            broken[at : at + 2] = broken[at : at + 2][::-1]
        else:
            del broken[at:]
    agree(bytes(broken).replace(b"\n", b""))


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\n", b"")))
@example(b"1723161254024619568 ")
def test_no_bytes_break_a_reading(line: bytes) -> None:
    agree(line)


def test_every_market_line_of_a_usual_capture_is_taken_by_the_compiled_parser() -> None:
    taken = [agree(line) for line in GOOD]
    kinds = [read_line(line).kind for line in GOOD]
    assert taken == [kind not in (LineKind.SNAPSHOT, LineKind.SKIPPED) for kind in kinds]


Rows = dict[tuple[str, LineKind], list[tuple[int, ...]]]


def rows_of(reader: CaptureReader) -> Rows:
    found: Rows = {}
    for block in reader:
        rows = zip(*(column.tolist() for column in block.columns.values()), strict=True)
        found.setdefault((block.symbol, block.line), []).extend(rows)
    return found


@given(
    st.data(),
    st.lists(st.sampled_from(samples.session()), min_size=1, max_size=12),
    st.integers(1, 3_000),
    st.sampled_from([bytes, gzip.compress, lz4.frame.compress]),
)
def test_files_blocks_and_spaces_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lines: list[str], block_bytes: int, pack: object
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("capture")
    timed = [f"{T0 + at * MS} {line.partition(' ')[2]}" for at, line in enumerate(lines)]
    whole = CaptureReader([samples.write(folder / "whole", timed)], block_bytes=8192)
    expected = rows_of(whole)
    spaced = [data.draw(st.sampled_from([line, line.replace(",", " , ", 3), line + "\r"])) for line in timed]
    text = "\n".join(spaced).encode() + data.draw(st.sampled_from([b"", b"\n"]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    parts = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert callable(pack)
    paths = [samples.write(folder / f"{at}", pack(part)) for at, part in enumerate(parts)]
    reader = CaptureReader(paths, block_bytes=block_bytes)
    assert rows_of(reader) == expected
    assert (reader.facts.n_lines, reader.facts.n_torn) == (len(lines), 0)
    assert reader.facts.lines == whole.facts.lines
    assert reader.facts.skipped == whole.facts.skipped
