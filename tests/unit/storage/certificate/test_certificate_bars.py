"""A fault planted in sound bars is found, counted and placed; sound bars are clean."""

from collections.abc import Callable

import numpy as np
import pytest

from njord.core.units import NS_PER_MINUTE
from njord.storage.certificate.certificate import Certificate
from njord.storage.certificate.facts import FactCollector
from tests.unit.storage.certificate.market_samples import START_NS, Columns, bars, certify, faults, without


def minute(row: int) -> int:
    return START_NS + row * NS_PER_MINUTE


def ranges(*rows: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple((minute(start), minute(end)) for start, end in rows)


def places(certificate: Certificate, check: str) -> list[tuple[int, int]]:
    return [(place.ts_ns, place.row) for place in certificate.finding(check).places]


def test_sound_bars_have_grade_a_and_every_check_was_made() -> None:
    certificate = certify("bars", bars())
    assert (certificate.grade, certificate.coverage, faults(certificate)) == ("A", 1.0, {})
    assert (certificate.first_ns, certificate.last_ns, certificate.n_rows) == (minute(0), minute(299), 300)
    checks = [finding.check for finding in certificate.findings]
    assert len(checks) == 14 and len(set(checks)) == 14
    assert certificate.bad_ranges == ()


def spiked(columns: Columns, row: int, factor: float) -> Columns:
    price = int(columns["close"][row] * factor)
    columns["close"][row] = price
    columns["high"][row] = max(columns["high"][row], price)
    columns["low"][row] = min(columns["low"][row], price)
    return columns


def wick(columns: Columns, row: int) -> Columns:
    columns["low"][row] = columns["low"][row] * 9 // 10
    return columns


def flat(columns: Columns, row: int, n: int) -> Columns:
    for name in ("open", "high", "low", "close", "volume_lots"):
        columns[name][row : row + n] = columns[name][row]
    return columns


def line(columns: Columns, row: int, n: int, volume: bool = True) -> Columns:
    names = ("open", "high", "low", "close", "volume_lots")
    for name in names if volume else names[:4]:
        before, after = int(columns[name][row - 1]), int(columns[name][row + n])
        columns[name][row : row + n] = np.rint(np.linspace(before, after, n + 2)[1:-1]).astype(np.int64)
    return columns


def contradiction(columns: Columns, row: int) -> Columns:
    columns["high"][row], columns["low"][row] = columns["low"][row] - 1, columns["high"][row]
    return columns


@pytest.mark.parametrize(
    ("plant", "check", "n", "place", "bad"),
    [
        (lambda c: without(c, 100, 101), "missing_bars", 1, (minute(100), 100), ((100, 101),)),
        (lambda c: without(c, 100, 160), "missing_bars", 60, (minute(100), 100), ((100, 160),)),
        (lambda c: spiked(c, 150, 1.1), "outliers", 1, (minute(150), 150), ((150, 151),)),
        (lambda c: spiked(c, 150, 0.9), "outliers", 1, (minute(150), 150), ((150, 151),)),
        (lambda c: spiked(c, 1, 1.1), "outliers", 1, (minute(1), 1), ((1, 2),)),
        (lambda c: wick(c, 298), "outliers", 1, (minute(298), 298), ((298, 299),)),
        (lambda c: flat(c, 40, 30), "flat_lines", 30, (minute(40), 40), ((40, 70),)),
        (lambda c: flat(c, 0, 10), "flat_lines", 10, (minute(0), 0), ((0, 10),)),
        (lambda c: flat(c, 290, 10), "flat_lines", 10, (minute(290), 290), ((290, 300),)),
        (lambda c: line(c, 60, 7), "straight_lines", 7, (minute(60), 60), ((60, 67),)),
        (lambda c: contradiction(c, 80), "contradictions", 1, (minute(80), 80), ((80, 81),)),
    ],
)
def test_a_planted_fault_is_found_where_it_is(
    plant: Callable[[Columns], Columns],
    check: str,
    n: int,
    place: tuple[int, int],
    bad: tuple[tuple[int, int], ...],
) -> None:
    certificate = certify("bars", plant(bars()))
    assert faults(certificate)[check] == n
    assert set(faults(certificate)) <= {check, "zero_volume"}
    assert places(certificate, check) == [place]
    assert certificate.bad_ranges == ranges(*bad)
    assert certificate.because == certificate.finding(check).says
    assert certificate.grade != "A"


def test_a_jump_that_stays_is_no_outlier() -> None:
    columns = bars()
    for name in ("open", "high", "low", "close"):
        columns[name][150:] = columns[name][150:] * 12 // 10
    assert faults(certify("bars", columns)) == {}


def test_wicks_as_long_as_those_before_are_no_outliers() -> None:
    columns = bars()
    columns["high"] = columns["high"] * 11 // 10
    assert faults(certify("bars", columns)) == {}
    columns["high"][200] *= 2
    assert places(certify("bars", columns), "outliers") == [(minute(200), 200)]


def test_nine_equal_bars_are_not_flat_yet_and_a_gap_ends_a_run() -> None:
    assert faults(certify("bars", flat(bars(), 40, 9))) == {}
    torn = without(flat(bars(), 40, 14), 47, 48)
    assert set(faults(certify("bars", torn))) == {"missing_bars"}


def test_two_bars_on_a_line_and_a_line_without_its_volume_are_chance() -> None:
    assert "straight_lines" not in faults(certify("bars", line(bars(), 60, 2)))
    assert "straight_lines" not in faults(certify("bars", line(bars(), 60, 7, volume=False)))


def test_a_gap_ends_a_straight_line() -> None:
    certificate = certify("bars", line(without(bars(), 64, 65), 60, 9))
    assert faults(certificate) == {"missing_bars": 1, "straight_lines": 3 + 4}
    assert [row for _, row in places(certificate, "straight_lines")] == [60, 65]


def test_prices_that_rest_without_volume_are_flat_but_no_line() -> None:
    columns = bars()
    for name in ("open", "high", "low", "close"):
        columns[name][:] = 10_000
    columns["volume_lots"][:] = 0
    assert faults(certify("bars", columns)) == {"flat_lines": 300, "zero_volume": 300}


def test_bars_that_restart_off_schedule_are_counted_and_the_hole_is_bad_time() -> None:
    columns = bars()
    columns["ts_open_ns"][200:] += NS_PER_MINUTE // 2
    certificate = certify("bars", columns)
    assert faults(certificate) == {"off_schedule": 100}
    assert certificate.bad_ranges == ((minute(200), minute(200) + NS_PER_MINUTE // 2),)


def test_places_are_the_first_twenty_and_the_worst_is_the_longest() -> None:
    columns = bars()
    holes = [row for row in range(10, 280, 10)]
    keep = np.ones(300, dtype=np.bool_)
    keep[holes] = False
    keep[252:256] = False
    certificate = certify("bars", {name: column[keep] for name, column in columns.items()})
    missing = certificate.finding("missing_bars")
    assert (missing.n, len(missing.places)) == (27 + 4, 20)
    assert missing.places[19].ts_ns == minute(200)
    assert missing.worst is not None and missing.worst.ts_ns == minute(252)
    assert missing.worst.detail == "4 bars, until 2022-01-01T04:16:00Z"
    assert certificate.coverage == (300 - 31) / 300


def test_what_an_importer_mended_is_graded_with_its_places() -> None:
    collector = FactCollector()
    for fact in (
        "duplicates",
        "conflicting_duplicates",
        "out_of_order",
        "off_grid",
        "snapped",
        "torn_lines",
        "skipped",
    ):
        collector.note_one(fact, minute(7), 8, "here")
    facts = collector.facts()
    certificate = certify("bars", bars(), facts)
    assert certificate.facts == facts
    for check in (
        "duplicates",
        "conflicting_duplicates",
        "out_of_order",
        "off_grid",
        "float_dirt",
        "torn_lines",
        "skipped_rows",
    ):
        assert certificate.n_of(check) == 1
        assert places(certificate, check) == [(minute(7), 8)]
    assert certificate.finding("duplicates").of == 302
    assert certificate.finding("off_grid").of == 1_200
    assert certificate.finding("float_dirt").grade == "A"


def test_one_bar_and_none_have_a_certificate() -> None:
    one = certify("bars", {name: column[:1] for name, column in bars().items()})
    assert (one.grade, one.n_rows, one.coverage) == ("A", 1, 1.0)
    none = certify("bars", {name: column[:0] for name, column in bars().items()})
    assert (none.grade, none.because, none.n_rows, none.first_ns) == ("F", "there are no rows", 0, 0)
