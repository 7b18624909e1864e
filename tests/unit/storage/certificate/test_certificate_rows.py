"""A fault planted in sound trades, quotes or book events is found, counted and placed; sound ones are clean."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from njord.core.units import NS_PER_MS, NS_PER_S
from njord.storage.certificate import book as book_checks
from njord.storage.certificate import windows
from njord.storage.certificate.facts import FactCollector
from njord.storage.store import kinds
from tests.unit.storage.certificate.market_samples import (
    Columns,
    Event,
    book,
    certify,
    events,
    faults,
    quotes,
    trades,
    without,
)


@pytest.mark.parametrize(
    ("kind", "columns"), [("trades", trades()), ("quotes", quotes()), ("book", book(events()))]
)
def test_sound_rows_have_grade_a(kind: str, columns: Columns) -> None:
    certificate = certify(kind, columns)
    assert (certificate.grade, certificate.coverage, faults(certificate)) == ("A", 1.0, {})


def test_the_flags_of_a_book_row_are_those_of_the_store() -> None:
    ours = (book_checks.BID, book_checks.ASK, book_checks.SNAPSHOT, book_checks.EVENT_END)
    assert ours == (kinds.BOOK_BID, kinds.BOOK_ASK, kinds.BOOK_SNAPSHOT, kinds.BOOK_EVENT_END)
    assert kinds.COLUMNS[kinds.DataKind.BOOK] == book_checks.COLUMNS


# --- trades ----------------------------------------------------------------------------------------------------


def changed(columns: Columns, name: str, row: int, value: Callable[[int], int]) -> Columns:
    columns[name][row] = value(int(columns[name][row]))
    return columns


def test_missing_ids_are_found_between_the_trades_around_them() -> None:
    sound = trades()
    certificate = certify("trades", without(sound, 100, 125))
    (place,) = certificate.finding("missing_ids").places
    assert faults(certificate) == {"missing_ids": 25}
    assert (place.ts_ns, place.row) == (sound["ts_ns"][99], 100)
    assert place.detail.startswith("ids 600 to 624, until ")
    assert certificate.bad_ranges == ((sound["ts_ns"][99], sound["ts_ns"][125]),)
    assert certificate.coverage == 375 / 400


def test_an_id_that_comes_late_is_disorder_and_not_missing() -> None:
    columns = trades()
    columns["trade_id"][[50, 51]] = columns["trade_id"][[51, 50]]
    certificate = certify("trades", columns)
    assert faults(certificate) == {"id_disorder": 1}
    assert [place.row for place in certificate.finding("id_disorder").places] == [51]


def test_an_id_that_is_repeated_is_found() -> None:
    certificate = certify("trades", changed(trades(), "trade_id", 50, lambda value: value - 1))
    assert certificate.finding("id_disorder").places[0].detail == "id 549 after 549"


def test_ids_that_are_not_consecutive_say_nothing_of_missing_trades() -> None:
    columns = trades()
    columns["trade_id"] = columns["trade_id"] * 7
    certificate = certify("trades", columns)
    assert certificate.grade == "A"
    assert "missing_ids" not in {finding.check for finding in certificate.findings}
    assert "not consecutive" in certificate.notes[0]


@pytest.mark.parametrize(("name", "value"), [("qty_lots", 0), ("price_ticks", 0), ("price_ticks", -5)])
def test_an_impossible_trade_is_found(name: str, value: int) -> None:
    columns = changed(trades(), name, 70, lambda _: value)
    certificate = certify("trades", columns)
    assert faults(certificate) == {"impossible_rows": 1}
    assert certificate.finding("impossible_rows").places[0].row == 70
    assert certificate.bad_ranges == ((columns["ts_ns"][70], columns["ts_ns"][71]),)


@pytest.mark.parametrize("rows", [slice(200, 201), slice(0, 1), slice(399, 400), slice(200, 204)])
def test_bad_prints_are_outliers_wherever_they_stand(rows: slice) -> None:
    columns = trades()
    columns["price_ticks"][rows] = columns["price_ticks"][rows] * 11 // 10
    certificate = certify("trades", columns)
    wanted = list(range(400))[rows]
    assert faults(certificate) == {"outliers": len(wanted)}
    assert [place.row for place in certificate.finding("outliers").places] == wanted
    assert certificate.finding("outliers").places[0].ts_ns == columns["ts_ns"][wanted[0]]


def test_a_price_that_jumps_and_stays_is_no_outlier() -> None:
    columns = trades()
    columns["price_ticks"][200:] = columns["price_ticks"][200:] * 12 // 10
    assert faults(certify("trades", columns)) == {}


def test_silence_is_a_fault_only_where_ids_can_not_tell() -> None:
    columns = trades()
    columns["ts_ns"][300:] += 600 * NS_PER_S
    columns["ts_venue_ns"][300:] += 600 * NS_PER_S
    assert faults(certify("trades", columns)) == {}
    columns["trade_id"][:] = 0
    certificate = certify("trades", columns)
    silences = certificate.finding("silences")
    assert 600 <= silences.n <= 603
    assert [(place.ts_ns, place.row) for place in silences.places] == [(columns["ts_ns"][299], 300)]
    assert certificate.bad_ranges == ((columns["ts_ns"][299], columns["ts_ns"][300]),)


def test_a_pause_below_a_hundred_mean_steps_is_no_silence() -> None:
    columns = trades()
    columns["trade_id"][:] = 0
    for row in range(50, 400, 50):
        columns["ts_ns"][row:] += 70 * NS_PER_S
    # The mean step is now over 2 s: only what is longer than 256 s would be told.
    assert "silences" not in faults(certify("trades", columns))


# --- clocks ----------------------------------------------------------------------------------------------------


def test_a_step_of_the_local_clock_is_found_at_the_trade_where_it_happens() -> None:
    columns = trades()
    columns["ts_ns"][250:] += 2 * NS_PER_S
    certificate = certify("trades", columns)
    steps = certificate.finding("clock_steps")
    assert steps.n == 1
    assert [(place.ts_ns, place.row) for place in steps.places] == [(columns["ts_ns"][250], 250)]
    assert re.fullmatch(r"local minus venue time goes from 0.0\d+ s to 2.0\d+ s", steps.places[0].detail)


def test_one_late_row_is_no_step() -> None:
    columns = trades()
    columns["ts_ns"][250] += 900 * NS_PER_MS
    columns["ts_ns"][251:] = np.maximum(columns["ts_ns"][251:], columns["ts_ns"][250])
    assert "clock_steps" not in faults(certify("trades", columns))


def test_offsets_that_always_jump_about_take_no_steps() -> None:
    columns = trades()
    columns["ts_venue_ns"] -= np.random.default_rng(5).integers(0, 3 * NS_PER_S, 400)
    assert "clock_steps" not in faults(certify("trades", columns))


def test_of_many_rows_the_clock_is_told_by_an_even_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", 3_001)
    n = 40_000
    columns = trades(n)
    columns["ts_venue_ns"] = columns["ts_ns"] - np.arange(n)
    clock = certify("trades", columns).clock
    assert clock is not None
    assert (clock.n, clock.min_ns, clock.max_ns) == (n, 0, n - 1)
    # At most 8,192 of 40,000: every eighth row.
    assert abs(clock.median_ns - n // 2) <= 8 and abs(clock.p05_ns - n // 20) <= 8
    assert clock.median_ns % 8 == clock.p05_ns % 8 == clock.p95_ns % 8 == 0


def test_the_offset_and_drift_of_the_clock_are_measured() -> None:
    columns = trades(n=2_000, offset_ms=-1_300)
    certificate = certify("trades", columns)
    assert certificate.clock is not None
    assert certificate.clock.median_ns == -1_300 * NS_PER_MS
    assert (certificate.grade, certificate.because) == ("C", "the local clock is 1.300 s behind the venue's")
    seconds = (columns["ts_venue_ns"] - columns["ts_venue_ns"][0]) // NS_PER_S
    columns["ts_ns"] += seconds * 300_000  # 300 us a second.
    certificate = certify("trades", columns)
    assert certificate.clock is not None
    assert abs(certificate.clock.drift_ppm - 300) < 3
    assert certificate.finding("clock_drift").grade == "C"


def test_a_venue_time_that_runs_backwards_is_found() -> None:
    columns = changed(trades(), "ts_venue_ns", 90, lambda value: value - 5 * NS_PER_S)
    columns["ts_venue_ns"][89] += 1
    certificate = certify("trades", columns)
    assert faults(certificate) == {"venue_disorder": 1}
    (place,) = certificate.finding("venue_disorder").places
    assert (place.ts_ns, place.row) == (columns["ts_ns"][90], 90)


def test_a_local_clock_that_ran_backwards_is_known_from_the_importer() -> None:
    facts = FactCollector().note_one("out_of_order", trades()["ts_ns"][33], 34).facts()
    certificate = certify("trades", trades(), facts)
    assert faults(certificate) == {"out_of_order": 1}
    assert certificate.finding("out_of_order").places[0].row == 34


def test_where_both_times_are_one_no_clock_is_told() -> None:
    columns = trades()
    columns["ts_venue_ns"] = columns["ts_ns"]
    certificate = certify("trades", columns)
    assert certificate.clock is None
    assert certificate.notes == ("One clock only: offset, steps and drift can not be told.",)


# --- book --------------------------------------------------------------------------------------------------------


def test_a_sequence_hole_is_found_between_the_events_around_it() -> None:
    made = events()
    certificate = certify("book", book(made[:60] + made[62:]))
    n_missing = made[61][3] - made[60][2] + 1
    assert faults(certificate) == {"sequence_holes": n_missing}
    (place,) = certificate.finding("sequence_holes").places
    assert (place.ts_ns, place.row) == (made[59][0], 40 + 2 * 59)
    assert certificate.bad_ranges == ((made[59][0], made[62][0]),)


def test_an_event_that_comes_twice_is_found() -> None:
    made = events()
    certificate = certify("book", book(made[:61] + made[60:]))
    assert faults(certificate) == {"id_disorder": 1}
    assert certificate.finding("id_disorder").places[0].ts_ns == made[60][0]


def planted(made: list[Event], index: int, level: tuple[int, int, int]) -> list[Event]:
    ts_ns, venue_ns, first, last, flags, levels = made[index]
    return [*made[:index], (ts_ns, venue_ns, first, last, flags, [*levels, level]), *made[index + 1 :]]


def test_a_level_that_crosses_the_book_is_found_until_it_is_gone() -> None:
    made = planted(planted(events(), 80, (1, 10_500, 7)), 84, (1, 10_500, 0))
    certificate = certify("book", book(made))
    assert faults(certificate) == {"crossed": 4}
    (place,) = certificate.finding("crossed").places
    assert place.ts_ns == made[80][0]
    assert place.detail.startswith("bid 105, ask 100.")
    assert certificate.bad_ranges == ((made[80][0], made[84][0]),)


def test_a_snapshot_that_contradicts_itself_is_crossed_to_the_end() -> None:
    made = planted(events(5), 0, (2, 9_000, 7))
    certificate = certify("book", book(made))
    assert faults(certificate) == {"crossed": 6}
    assert certificate.bad_ranges == ((made[0][0], made[-1][0] + 1),)


def test_a_snapshot_replaces_the_book_and_what_arrived_before_it_counts_if_newer() -> None:
    crossing = planted(events(), 80, (1, 10_500, 7))
    snapshot = (crossing[82][0], crossing[82][0], crossing[82][3], crossing[82][3], 4, crossing[0][5])
    certificate = certify("book", book([*crossing[:83], snapshot, *crossing[83:]]))
    assert faults(certificate) == {"crossed": 3}
    # An older snapshot is followed by the events that it does not hold: the crossing one among them.
    older = (*snapshot[:2], crossing[79][3], crossing[79][3], *snapshot[4:])
    certificate = certify("book", book([*crossing[:83], older, *crossing[83:]]))
    assert faults(certificate)["crossed"] > 100


def test_an_event_that_the_snapshot_already_holds_changes_nothing() -> None:
    made = events(20)
    old = (made[5][0], made[5][0], 900, 950, 0, [(1, 10_500, 7)])
    assert "crossed" not in faults(certify("book", book([*made[:6], old, *made[6:]])))


def test_events_before_the_first_snapshot_are_counted_and_bad() -> None:
    made = events()
    late = [*made[1:101], made[0], *made[101:]]
    times = [(early[0], *each[1:]) for early, each in zip(made, late, strict=True)]
    certificate = certify("book", book(times))
    assert certificate.n_of("unanchored") == 100
    assert certificate.finding("unanchored").grade == "D"
    assert certificate.bad_ranges[0] == (times[0][0], times[100][0])


def test_a_book_without_any_snapshot_is_not_fit_for_use() -> None:
    certificate = certify("book", book(events()[1:]))
    assert (certificate.grade, certificate.because) == (
        "F",
        "200 of 200 events lie before the first snapshot",
    )


@pytest.mark.parametrize("level", [(1, 0, 5), (1, -9_000, 5), (2, 10_020, -1), (3, 9_000, 5), (0, 9_000, 5)])
def test_an_impossible_level_is_found(level: tuple[int, int, int]) -> None:
    made = planted(events(), 30, level)
    certificate = certify("book", book(made))
    assert certificate.n_of("impossible_rows") == 1
    assert certificate.finding("impossible_rows").places[0].ts_ns == made[30][0]


def test_events_without_levels_and_the_last_one_without_its_end_are_followed() -> None:
    made = events()
    made[50] = (*made[50][:5], [])
    columns = book(made)
    assert faults(certify("book", columns)) == {}
    columns["flags"][-1] &= ~8
    assert certify("book", columns).notes[0] == "The last event has no end."


def test_an_importer_that_saw_more_crossed_books_is_believed() -> None:
    collector = FactCollector().note_one("crossed", 5, 6).note_one("crossed", 7, 8)
    collector.note_one("quote_mismatches", 9, 10)
    assert faults(certify("book", book(events()), collector.facts())) == {"crossed": 2, "quote_mismatches": 1}


# --- quotes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"bid_ticks": 10_500, "ask_ticks": 10_400}, {"crossed": 1}),
        ({"bid_ticks": 10_400, "ask_ticks": 10_400}, {"locked": 1}),
        ({"bid_ticks": 0, "bid_lots": 0}, {"empty_sides": 1}),
        ({"bid_ticks": -4}, {"impossible_rows": 1}),
        ({"ask_lots": 0}, {"impossible_rows": 1}),
        ({"bid_ticks": 11_000, "ask_ticks": 11_010}, {"outliers": 1}),
        ({"update_id": 7_000}, {"id_disorder": 1}),
    ],
)
def test_a_planted_quote_is_found(values: dict[str, int], found: dict[str, int]) -> None:
    columns = quotes()
    for name, value in values.items():
        columns[name][120] = value
    certificate = certify("quotes", columns)
    assert {
        check: n for check, n in faults(certificate).items() if check != "outliers" or check in found
    } == found
    (check,) = found
    assert [(place.ts_ns, place.row) for place in certificate.finding(check).places] == [
        (columns["ts_ns"][120], 120)
    ]
