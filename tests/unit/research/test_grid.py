"""The grid numbers its combinations without listing them; a random order visits each once and remembers nothing."""

from itertools import islice, product

import pytest

from njord.research.axes import Axis
from njord.research.grid import Grid, permuted, spread

GRID = Grid((Axis("a", ("1", "2", "3")), Axis("b", ("x", "y")), Axis("c", ("0.1", "0.2"))))


def test_combinations_are_the_full_product_in_axis_order() -> None:
    every = [tuple(value for _, value in GRID.at(index)) for index in range(GRID.size)]
    assert every == list(product(("1", "2", "3"), ("x", "y"), ("0.1", "0.2")))


def test_an_index_is_where_its_places_are() -> None:
    assert [GRID.index_of(GRID.places(index)) for index in range(GRID.size)] == list(range(GRID.size))


def test_neighbors_differ_by_one_step_on_one_axis() -> None:
    for index in range(GRID.size):
        near = set(GRID.neighbors(index))
        distances = {
            other: sum(
                abs(one - two) for one, two in zip(GRID.places(index), GRID.places(other), strict=True)
            )
            for other in range(GRID.size)
        }
        assert near == {other for other, distance in distances.items() if distance == 1}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 100, 1_000])
def test_a_random_order_is_a_permutation_that_its_seed_decides(size: int) -> None:
    order = list(permuted(size, 1))
    assert sorted(order) == list(range(size))
    assert order == list(permuted(size, 1))
    if size >= 64:
        assert order != list(permuted(size, 2))
        assert order != sorted(order)


def test_a_random_order_of_more_than_fits_in_memory_begins_at_once() -> None:
    first = list(islice(permuted(10**15, 3), 1_000))
    assert len(set(first)) == 1_000
    assert 0.4e15 < sum(first) / 1_000 < 0.6e15  # Mean of a uniform: 0.5e15, deviation 0.009e15.


def test_spread_numbers_rise_and_stay_below_the_size() -> None:
    assert list(spread(10, 3)) == [1, 5, 8]
    assert list(spread(3, 10)) == [0, 1, 2]
    assert list(spread(0, 3)) == []
