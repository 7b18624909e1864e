"""Every card holds at the venues it names: what is done is heard as it says, and nothing else."""

from collections.abc import Iterator

import pytest

from tests.contract.cards import BOTH, SHARED, Card, Where
from tests.contract.deck import CARDS
from tests.contract.exchange_stage import ExchangeStage
from tests.contract.simulated_stage import SimulatedStage

pytestmark = pytest.mark.integration


def _at(where: Where) -> list[object]:
    return [pytest.param(card, id=f"{card.number:02d}") for card in CARDS if where in card.where]


def _compare(heard: list[str], card: Card, where: Where) -> None:
    assert heard == card.heard_at(where), "heard was\n" + "\n".join(heard)


@pytest.fixture(scope="module")
def shared_exchange() -> Iterator[ExchangeStage]:
    """One exchange and one broker for all cards that leave them as they were."""
    with ExchangeStage(SHARED).open() as stage:
        yield stage


def test_each_card_has_a_number_of_its_own_and_says_why_it_is_not_the_same_everywhere() -> None:
    numbers = [card.number for card in CARDS]
    assert numbers == sorted(set(numbers))
    for card in CARDS:
        differs = card.heard_at(Where.SIMULATED) != card.heard_at(Where.EXCHANGE)
        assert bool(card.why) == (differs or card.where != BOTH), card.number


@pytest.mark.parametrize("card", _at(Where.SIMULATED))
def test_the_simulated_venue_keeps_the_card(card: Card) -> None:
    _compare(SimulatedStage(card.setup).play(card), card, Where.SIMULATED)


@pytest.mark.parametrize("card", _at(Where.EXCHANGE))
def test_the_local_exchange_keeps_the_card_through_ccxt(card: Card, request: pytest.FixtureRequest) -> None:
    if not card.setup.is_own:
        stage = request.getfixturevalue("shared_exchange")
        _compare(stage.play(card), card, Where.EXCHANGE)
        return
    with ExchangeStage(card.setup).open() as stage:
        _compare(stage.play(card), card, Where.EXCHANGE)
