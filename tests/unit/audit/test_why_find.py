"""Whatever names an order finds it; what names none or several is refused with the nearest."""

from pathlib import Path

import pytest

from njord.audit.why_find import JournalIndex, Kind
from njord.core.errors import ConfigError
from tests.unit.audit.why_scene import QUIET, SCRIPT, make_run


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> JournalIndex:
    return JournalIndex(make_run(tmp_path_factory.mktemp("find"), SCRIPT) / "journal")


def test_an_order_is_found_by_every_name_it_has(index: JournalIndex) -> None:
    third = index.find("case-3").subject
    assert third.order_no == 3
    assert third.client_order_id.startswith("NJ-")
    names = [
        third.client_order_id,
        third.client_order_id[:9],
        "order 3",
        "#3",
        " order 3 ",
        "fill 2",
        "trade 2",
    ]
    assert {index.find(name).subject for name in names} == {third}
    assert index.find("fill 2").asked_for == "the fill 2 of it"
    assert index.find("last").subject.intent_id == "case-11"


def test_an_exact_id_wins_over_those_that_begin_with_it(index: JournalIndex) -> None:
    assert index.find("case-1").subject.intent_id == "case-1"


@pytest.mark.parametrize(("wanted", "kind"), [("case-7", Kind.REFUSAL), ("case-9", Kind.CANCEL)])
def test_what_never_was_an_order_is_found_too(index: JournalIndex, wanted: str, kind: Kind) -> None:
    assert index.find(wanted).subject.kind is kind


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("case-99", "nothing in this run is called 'case-99'; the nearest: case-9,"),
        ("case_3", "the nearest: case-3,"),
        ("order 99", "the nearest: order 7"),
        ("order " + "9" * 5000, "nothing in this run is called"),
        ("9" * 5000, "nothing in this run is called"),
        ("", "nothing in this run is called ''"),
        ("NJ-", "'NJ-' can be case-1 or case-2 or case-3 or case-4 and 3 more; say more of its id"),
        ("3", "'3' can be case-10 (the fill 3) or case-3; say more of its id, or `order N`"),
    ],
)
def test_what_names_nothing_or_several_is_one_line_with_the_nearest(
    index: JournalIndex, wanted: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        index.find(wanted)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("case-8x", {"case-8", "case-9"}), ("zzz", {"case-7", "case-8", "case-9"}), ("!", {"1", "2", "3"})],
)
def test_of_too_many_ids_to_compare_the_neighbors_by_name_are_the_nearest(
    index: JournalIndex, monkeypatch: pytest.MonkeyPatch, wanted: str, nearest: set[str]
) -> None:
    monkeypatch.setattr("njord.audit.why_find._COMPARED_MAX", 0)
    with pytest.raises(ConfigError) as caught:
        index.find(wanted)
    named = str(caught.value).partition("the nearest: ")[2].split(", ")
    assert len(named) == 3
    assert nearest <= set(named)


def test_a_run_without_orders_says_so(tmp_path: Path) -> None:
    index = JournalIndex(make_run(tmp_path, QUIET) / "journal")
    for wanted in ("last", "order 1", "NJ-ABC"):
        with pytest.raises(ConfigError, match="it has no order and no intent"):
            index.find(wanted)
