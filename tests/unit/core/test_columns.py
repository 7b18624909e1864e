"""Texts and rows without an object each are what went in, whatever their number."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from njord.core.columns import Rows, TextColumn, TextIndex, Words
from njord.core.types import OrderType


class Squares(Rows[int]):
    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def at(self, index: int) -> int:
        return index * index


def test_rows_are_a_sequence_like_any_other() -> None:
    rows = Squares(5)
    assert (rows[0], rows[4], rows[-1]) == (0, 16, 16)
    assert (rows[1:3], rows[::-2], rows[5:]) == ([1, 4], [16, 4, 0], [])
    assert list(rows) == [0, 1, 4, 9, 16]
    assert 9 in rows
    assert bool(rows) and not Squares(0)
    for beyond in (5, -6):
        with pytest.raises(IndexError):
            rows[beyond]


def test_rows_equal_any_sequence_of_the_same_rows() -> None:
    assert Squares(3) == [0, 1, 4]
    assert Squares(3) == Squares(3)
    assert Squares(3) != [0, 1, 5]
    assert Squares(3) != [0, 1]
    assert Squares(0) != ""


@settings(max_examples=25)
@given(st.lists(st.text(max_size=5)))
def test_a_column_holds_any_texts(texts: list[str]) -> None:
    column = TextColumn()
    column.extend(texts[:2])
    column.extend(texts[2:])
    assert list(column) == texts
    assert column.many(range(len(texts) - 1, -1, -1)) == texts[::-1]


@settings(max_examples=25)
@given(st.lists(st.text(max_size=4), unique=True), st.text(max_size=4))
def test_an_index_finds_what_was_added_and_nothing_else(texts: list[str], other: str) -> None:
    index = TextIndex()
    index.extend(texts[:2])
    index.extend(texts[2:])
    assert len(index) == len(texts)
    assert [index.find(text) for text in texts] == list(range(len(texts)))
    assert [index[number] for number in range(len(texts))] == texts
    assert (index.find(other) >= 0) is (other in texts)


def test_an_index_goes_on_when_its_table_has_become_too_small() -> None:
    index = TextIndex()
    for first, end in pairwise(
        (0, 16_000, 17_000, 18_000)
    ):  # The second fills more than half of the first table.
        assert index.find(f"s-{first}") == -1
        index.extend([f"s-{number}" for number in range(first, end)])
    assert all(index.find(f"s-{number}") == number for number in range(0, 18_000, 7))
    assert len(index) == 18_000


def test_texts_of_one_checksum_are_told_apart() -> None:
    one, other = "plumless", "buckeroo"  # The same CRC-32.
    index = TextIndex()
    index.extend([one])
    assert (index.find(one), index.find(other)) == (0, -1)
    index.extend([other])
    assert (index.find(one), index.find(other)) == (0, 1)


def test_words_have_one_number_each() -> None:
    words = Words("a")
    assert [words[text] for text in ("b", "a", "c", "b", OrderType.LIMIT, "limit")] == [1, 0, 2, 1, 3, 3]
    assert words.texts == ["a", "b", "c", "limit"]
    assert {type(text) for text in words.texts} == {str}
