"""A certificate is one line of JSON that comes back as it was, names its data, and gives its reason."""

import msgspec
import pytest

from njord.core.errors import DataError
from njord.storage.certificate.by_kind import checks_for
from njord.storage.certificate.certificate import (
    decode_certificate,
    encode_certificate,
    judge,
    make_finding,
)
from njord.storage.certificate.facts import NO_FACTS, PLACES_MAX, FactCollector, Place, Seen, SourceFacts
from njord.storage.certificate.grading import GRADES, RULES, rule_of, rules_table, worst_of
from tests.unit.storage.certificate.market_samples import (
    HASH,
    START_NS,
    bars,
    certify,
    instrument,
    trades,
    without,
)


def test_a_certificate_comes_back_as_it_was_and_names_its_data() -> None:
    facts = FactCollector().note_one("duplicates", START_NS, 4, "here").facts()
    certificate = certify("trades", without(trades(), 50, 60), facts)
    data = encode_certificate(certificate)
    assert b"\n" not in data
    assert decode_certificate(data) == certificate
    assert decode_certificate(msgspec.Raw(data)) == certificate
    assert certificate.dataset_hash == HASH
    assert certificate.digest().startswith("sha256:")
    assert certificate.digest() != msgspec.structs.replace(certificate, dataset_hash="sha256:1").digest()


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"schema":1,"news":2}'],
)
def test_what_is_no_certificate_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(DataError, match="this is not a data certificate") as refused:
        decode_certificate(data)
    assert "\n" not in str(refused.value)


def test_an_unknown_field_and_a_newer_schema_are_refused() -> None:
    values = msgspec.json.decode(encode_certificate(certify("bars", bars())))
    with pytest.raises(DataError, match="surprise"):
        decode_certificate(msgspec.json.encode({**values, "surprise": 1}))
    with pytest.raises(DataError, match="has schema 2, this version reads 1"):
        decode_certificate(msgspec.json.encode({**values, "schema": 2}))
    with pytest.raises(DataError, match="not a data certificate"):
        decode_certificate(msgspec.json.encode({**values, "grade": "A+"}))


def test_the_grade_is_the_worst_finding_and_the_first_of_equals_is_the_reason() -> None:
    findings = [
        make_finding("missing_bars", 1, 10_000),
        make_finding("flat_lines", 300, 1_000),
        make_finding("outliers", 0, 9),
    ]
    assert [finding.grade for finding in findings] == ["B", "E", "A"]
    assert judge(findings) == ("E", "300 of 1,000 bars are flat")
    assert (
        judge([make_finding("off_grid", 1, 10_000), findings[0]])[1]
        == "1 of 10,000 prices lay off the tick grid"
    )
    assert judge([]) == ("A", "no fault was found that lowers it")
    assert make_finding("missing_bars", 1, 10_000).says == "1 of 10,000 expected bars is missing"


def test_a_finding_gives_the_rule_with_all_its_numbers() -> None:
    rule = make_finding("missing_bars", 5, 1_000).rule
    assert rule.startswith(
        "C: at most 1 % (A none, B at most 0.1 %, C at most 1 %, D at most 5 %, E at most 20 %, F more than 20 %)."
    )
    assert "A bar is expected at every interval" in rule


def test_every_rule_is_whole() -> None:
    assert len({rule.check for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert list(rule.limits) == sorted(rule.limits)
        assert rule.kinds and set(rule.kinds) <= {"bars", "trades", "book", "quotes"}
        assert rule.about.endswith(".")
        assert rule.unit in ("share", "count", "s", "ppm")
        assert rule.grade(rule.limits[0]) == "A"
        assert rule.grade(float("nan")) == "F"
        assert rule_of(rule.check) is rule
    head, *rows = rules_table()
    assert head[3:] == GRADES
    assert [row[0] for row in rows] == [rule.check for rule in RULES]
    assert all(len(row) == len(head) for row in rows)
    with pytest.raises(KeyError):
        rule_of("luck")


def test_a_harmless_fault_never_lowers_the_grade() -> None:
    assert make_finding("float_dirt", 10, 10).grade == "A"
    assert make_finding("duplicates", 99, 100).grade == "E"
    assert worst_of(("A", "C", "B")) == "C"


def test_an_unknown_kind_has_no_checks() -> None:
    with pytest.raises(ValueError, match="was 'candles'"):
        checks_for("candles", instrument())


# --- facts -------------------------------------------------------------------------------------------------------


def test_facts_keep_the_first_places_and_count_the_rest() -> None:
    collector = FactCollector()
    columns = trades()
    collector.note("duplicates", columns["ts_ns"][:15], columns["trade_id"][:15], "again")
    collector.note("duplicates", columns["ts_ns"][15:30], columns["trade_id"][15:30])
    collector.note("off_grid", columns["ts_ns"][:1], columns["trade_id"][:1], n=4)
    facts = collector.facts()
    assert facts.duplicates.n == 30
    assert [place.row for place in facts.duplicates.places] == list(range(500, 500 + PLACES_MAX))
    assert facts.duplicates.places[14].detail == "again" and not facts.duplicates.places[15].detail
    assert (facts.off_grid.n, len(facts.off_grid.places)) == (4, 1)
    assert facts.skipped == Seen()
    with pytest.raises(KeyError):
        collector.note_one("bad_luck", 1)


def test_facts_of_several_sources_are_one_and_can_be_moved_in_time() -> None:
    one = FactCollector().note_one("out_of_order", 10, 1).facts()
    other = FactCollector().note_one("out_of_order", 20, 2).note_one("skipped", 30, 3).facts()
    both = one.merged(other)
    assert both.out_of_order == Seen(2, (Place(10, 1), Place(20, 2)))
    assert both.skipped.n == 1
    assert NO_FACTS.merged(NO_FACTS) == NO_FACTS == SourceFacts()
    assert both.shifted(-5).out_of_order.places == (Place(5, 1), Place(15, 2))
    assert both.shifted(-5).out_of_order.n == 2
