"""All cards, by number."""

from tests.contract import amend_cards, order_cards, refusal_cards, trap_cards, trouble_cards

CARDS = tuple(
    sorted(
        (
            *amend_cards.CARDS,
            *order_cards.CARDS,
            *refusal_cards.CARDS,
            *trouble_cards.CARDS,
            *trap_cards.CARDS,
        ),
        key=lambda card: card.number,
    )
)
