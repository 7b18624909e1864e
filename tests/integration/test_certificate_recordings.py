"""Faults planted one by one in copies of the recordings are found and placed; the recordings themselves are graded.

What the clean ones get, and why (their README names the quirks):

- BTC-PERP bars: B. 14 minutes of 45,031 lie on straight lines (2022-01-01 03:03 to 03:09, 2022-01-13 03:03 to 03:09),
  and 41 of their prices lay off the tick grid.
- ETH_BTC and LTC_BTC bars: A. Prices carry float dirt, which is put on the tick it stands for without loss.
- XRP_ETH trades: A. Every id from the first to the last is there.
- ETHUSDT capture: trades and book C, because the capturing host's clock ran 1.27 s behind the exchange's; nothing else.
  Quotes A: they carry no venue time. Two book events lie before the snapshot; that alone would be an A.
"""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.storage.bars_file import open_bars
from njord.storage.bars_options import BarOptions
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import Certificate, Finding
from njord.storage.ingest.capture import open_capture
from njord.storage.ingest.trades_file import open_trades
from njord.storage.store.kinds import DataKind

pytestmark = pytest.mark.integration

BARS = {
    "BTC-PERP-1m-20211231-20220201.csv.gz": (60, 1.0),
    "ETH_BTC-5m-20180110-20180130.csv.gz": (300, 1e-8),
    "LTC_BTC-5m-20180110-20180130.csv.gz": (300, 1e-8),
}
TRADES = "XRP_ETH-trades-20191011-20191013.csv.gz"
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
ROW = 2_000  # Where faults are planted: the recordings are sound around it.

Lines = list[str]
Plant = Callable[[Lines, int, float], Lines]  # Lines with their header, interval in seconds, tick.


def text_of(path: Path) -> Lines:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def written(folder: Path, name: str, lines: Lines) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", 1))
    return path


def at_ns(line: str) -> int:
    """Return the time of a line: the first field, ISO or epoch ms."""
    first = line.partition(",")[0]
    if first.isdigit():
        return int(first) * NS_PER_MS
    moment = datetime.fromisoformat(first)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S


def number(value: float) -> str:
    return f"{value:.9f}"


def with_fields(lines: Lines, row: int, change: Callable[[list[str]], list[str]]) -> Lines:
    return [*lines[:row], ",".join(change(lines[row].split(","))), *lines[row + 1 :]]


# --- bars: row n of the file is line n, below the header ------------------------------------------------------------


def spike(fields: list[str]) -> list[str]:
    time, opened, _, low, close, volume = fields
    bad = number(round(float(close) * 1.1, 8))
    return [time, opened, bad, low, bad, volume]


def upside_down(fields: list[str]) -> list[str]:
    time, opened, high, low, close, volume = fields
    return [time, opened, low, high, close, volume]


def line_fill(lines: Lines, row: int, n: int) -> Lines:
    before, after = (list(map(float, lines[at].split(",")[1:])) for at in (row - 1, row + n))
    filled = []
    for step in range(1, n + 1):
        values = [a + (b - a) * step / (n + 1) for a, b in zip(before, after, strict=True)]
        filled.append(",".join([lines[row + step - 1].partition(",")[0], *map(repr, values)]))
    return [*lines[:row], *filled, *lines[row + n :]]


def flat_line(lines: Lines, row: int, n: int) -> Lines:
    values = lines[row].partition(",")[2]
    return [
        *lines[:row],
        *(f"{line.partition(',')[0]},{values}" for line in lines[row : row + n]),
        *lines[row + n :],
    ]


def again(lines: Lines, change: Callable[[list[str]], list[str]]) -> Lines:
    return [*lines[: ROW + 1], ",".join(change(lines[ROW].split(","))), *lines[ROW + 1 :]]


PLANTED: list[tuple[str, str, Callable[[int], int], Plant]] = [
    ("a missing minute", "missing_bars", lambda _: 1, lambda lines, _, tick: lines[:ROW] + lines[ROW + 1 :]),
    ("a missing hour", "missing_bars", lambda s: 3600 // s, lambda lines, s, tick: lines[:ROW] + lines[ROW + 3600 // s :]),
    ("a duplicate", "duplicates", lambda _: 1, lambda lines, _, tick: again(lines, lambda fields: fields)),
    (
        "a conflict", "conflicting_duplicates", lambda _: 1,
        lambda lines, _, tick: again(lines, lambda fields: [*fields[:5], number(float(fields[5]) + 1)]),
    ),
    (
        "swapped rows", "out_of_order", lambda _: 1,
        lambda lines, _, tick: [*lines[: ROW - 1], lines[ROW], lines[ROW - 1], *lines[ROW + 1 :]],
    ),
    ("a spike", "outliers", lambda _: 1, lambda lines, _, tick: with_fields(lines, ROW, spike)),
    ("a flat line", "flat_lines", lambda _: 30, lambda lines, _, tick: flat_line(lines, ROW, 30)),
    ("high below low", "contradictions", lambda _: 1, lambda lines, _, tick: with_fields(lines, ROW, upside_down)),
    (
        "off the grid", "off_grid", lambda _: 1,
        lambda lines, _, tick: with_fields(lines, ROW, lambda f: [*f[:4], number(float(f[3]) + 0.4 * tick), f[5]]),
    ),
    ("a straight line", "straight_lines", lambda _: 9, lambda lines, _, tick: line_fill(lines, ROW, 9)),
]  # fmt: skip


@pytest.mark.parametrize("name", BARS)
@pytest.mark.parametrize(
    ("check", "n", "plant"), [planted[1:] for planted in PLANTED], ids=[each[0] for each in PLANTED]
)
def test_a_fault_planted_in_bars_is_found_at_its_time(
    recordings: Path, tmp_path: Path, name: str, check: str, n: Callable[[int], int], plant: Plant
) -> None:
    interval_s, tick = BARS[name]
    lines = text_of(recordings / "bars" / name)
    with open_bars(recordings / "bars" / name) as bars:
        clean = bars.certificate
    path = written(tmp_path, name, plant(lines, interval_s, tick))
    with open_bars(path, BarOptions(repair=True)) as bars:
        certificate = bars.certificate
    finding = certificate.finding(check)
    assert finding.n == clean.n_of(check) + n(interval_s)
    planted_ns = at_ns(lines[ROW - 1] if check == "out_of_order" else lines[ROW])
    assert planted_ns in {place.ts_ns for place in finding.places}
    assert finding.grade != "A"
    # Nothing else is blamed, but that a fill lies off the grid, and that its floats are dirty.
    others = {"off_grid", "float_dirt", check}
    assert {f.check: f.n for f in certificate.faults() if f.check not in others} == {
        f.check: f.n for f in clean.faults() if f.check not in others
    }
    is_bad = check in ("missing_bars", "outliers", "flat_lines", "contradictions", "straight_lines")
    held = any(start <= planted_ns < end for start, end in certificate.bad_ranges)
    assert held is is_bad


def test_the_clean_bars_have_the_grades_that_their_quirks_deserve(recordings: Path) -> None:
    found = {}
    for name in BARS:
        with open_bars(recordings / "bars" / name) as bars:
            found[name] = bars.certificate
    btc, eth, ltc = found.values()
    assert [certificate.grade for certificate in (btc, eth, ltc)] == ["B", "A", "A"]
    assert btc.because == "14 of 45,031 bars lie on a straight line"
    assert [(place.ts_ns, place.detail) for place in btc.finding("straight_lines").places] == [
        (at_ns("2022-01-01 03:03:00"), "7 bars, until 2022-01-01T03:10:00Z"),
        (at_ns("2022-01-13 03:03:00"), "7 bars, until 2022-01-13T03:10:00Z"),
    ]
    assert {finding.check for certificate in (eth, ltc) for finding in certificate.faults()} == {"float_dirt"}
    assert all(certificate.n_of("outliers") == 0 for certificate in found.values())


# --- trades ------------------------------------------------------------------------------------------------------------


def graded_trades(path: Path) -> Certificate:
    with open_trades(path) as source:
        checks = checks_for(DataKind.TRADES, source.instrument)
        for columns in source.rows():
            checks.add(columns)
        return checks.finish("sha256:" + "0" * 64, source.facts)


def trade_with(lines: Lines, field: int, change: Callable[[str], str]) -> Lines:
    return with_fields(lines, ROW, lambda f: [*f[:field], change(f[field]), *f[field + 1 :]])


def test_the_clean_trades_have_no_fault(recordings: Path) -> None:
    certificate = graded_trades(recordings / "trades" / TRADES)
    assert (certificate.grade, certificate.faults(), certificate.coverage) == ("A", (), 1.0)


@pytest.mark.parametrize(
    ("check", "n", "place", "plant"),
    [
        ("missing_ids", 50, ROW - 1, lambda lines: lines[:ROW] + lines[ROW + 50 :]),
        ("duplicates", 1, ROW, lambda lines: [*lines[: ROW + 1], lines[ROW], *lines[ROW + 1 :]]),
        (
            "out_of_order",
            1,
            ROW,
            lambda lines: [*lines[:ROW], *lines[ROW + 1 : ROW + 40], lines[ROW], *lines[ROW + 40 :]],
        ),
        (
            "outliers",
            1,
            ROW,
            lambda lines: trade_with(lines, 4, lambda price: number(round(float(price) * 1.1, 8))),
        ),
        ("skipped_rows", 1, ROW, lambda lines: trade_with(lines, 5, lambda _: "0")),
    ],
)
def test_a_fault_planted_in_trades_is_found_at_its_time(
    recordings: Path, tmp_path: Path, check: str, n: int, place: int, plant: Callable[[Lines], Lines]
) -> None:
    lines = text_of(recordings / "trades" / TRADES)
    certificate = graded_trades(written(tmp_path, TRADES, plant(lines)))
    assert certificate.n_of(check) == n
    assert at_ns(lines[place]) in {found.ts_ns for found in certificate.finding(check).places}
    assert certificate.grade == ("C" if check == "missing_ids" else "B")  # 50 of 12,477 are 0.4 %.
    # A trade that was skipped is also missing among the ids.
    assert {finding.check for finding in certificate.faults()} <= {check, "missing_ids"}


# --- the capture -------------------------------------------------------------------------------------------------------


def graded_capture(path: Path) -> dict[DataKind, Certificate]:
    graded = {}
    with open_capture([path]) as capture:
        (symbol,) = capture.symbols
        for kind in (DataKind.TRADES, DataKind.BOOK, DataKind.QUOTES):
            checks = checks_for(kind, capture.instrument(symbol))
            for columns in capture.rows(symbol, kind):
                checks.add(columns)
            graded[kind] = checks.finish("sha256:" + "0" * 64, capture.facts.source)
    return graded


def receive_ns(line: str) -> int:
    return int(line.partition(" ")[0])


def moved(line: str, by_ns: int) -> str:
    stamp, _, rest = line.partition(" ")
    return f"{int(stamp) + by_ns} {rest}"


def nth(lines: Lines, stream: str, n: int) -> int:
    return [index for index, line in enumerate(lines) if stream in line][n]


def the(finding: Finding) -> int:
    (place,) = finding.places
    return place.ts_ns


def test_the_clean_capture_is_graded_for_its_clock_alone(recordings: Path) -> None:
    graded = graded_capture(recordings / "capture" / CAPTURE)
    trades, book, quotes = graded.values()
    for certificate in (trades, book):
        assert certificate.grade == "C"
        assert certificate.because.startswith("the local clock is 1.27")
        assert certificate.clock is not None and -1.28e9 < certificate.clock.median_ns < -1.26e9
        assert {f.check for f in certificate.faults() if f.grade != "A"} == {"clock_offset"}
    assert book.n_of("unanchored") == 2
    assert (quotes.grade, quotes.faults()) == ("A", ())


def test_a_hole_in_the_depth_stream_is_found_at_its_time(recordings: Path, tmp_path: Path) -> None:
    lines = text_of(recordings / "capture" / CAPTURE)
    gone, before = nth(lines, "@depth", 1_000), nth(lines, "@depth", 999)
    book = graded_capture(written(tmp_path, CAPTURE, lines[:gone] + lines[gone + 1 :]))[DataKind.BOOK]
    assert book.n_of("sequence_holes") > 0
    assert the(book.finding("sequence_holes")) == receive_ns(lines[before])


def test_a_level_that_crosses_the_book_is_found_at_its_time(recordings: Path, tmp_path: Path) -> None:
    lines = text_of(recordings / "capture" / CAPTURE)
    at = nth(lines, "@depth", 1_000)
    lines[at] = lines[at].replace('"b":[', '"b":[["2999.00000000","1.00000000"],', 1)
    book = graded_capture(written(tmp_path, CAPTURE, lines))[DataKind.BOOK]
    assert book.n_of("crossed") == 3_434 - 1_000
    assert the(book.finding("crossed")) == receive_ns(lines[at])
    assert book.bad_ranges[-1][0] == receive_ns(lines[at])


def test_a_step_of_the_local_clock_is_found_at_its_time(recordings: Path, tmp_path: Path) -> None:
    lines = text_of(recordings / "capture" / CAPTURE)
    at = nth(lines, "@trade", 3_000)
    lines[at:] = [moved(line, 2 * NS_PER_S) for line in lines[at:]]
    graded = graded_capture(written(tmp_path, CAPTURE, lines))
    assert the(graded[DataKind.TRADES].finding("clock_steps")) == receive_ns(lines[at])
    depth = next(index for index in range(at, len(lines)) if "@depth" in lines[index])
    assert the(graded[DataKind.BOOK].finding("clock_steps")) == receive_ns(lines[depth])


def test_a_local_clock_that_runs_backwards_is_found_at_its_line(recordings: Path, tmp_path: Path) -> None:
    lines = text_of(recordings / "capture" / CAPTURE)
    at = nth(lines, "@trade", 3_000)
    lines[at] = moved(lines[at], -NS_PER_S)
    trades = graded_capture(written(tmp_path, CAPTURE, lines))[DataKind.TRADES]
    (place,) = trades.finding("out_of_order").places
    assert (place.ts_ns, place.row) == (receive_ns(lines[at]), at + 1)
