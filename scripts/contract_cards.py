"""Print the contract cards as a page: for each card its number, claim, where it is played, what is done, what is heard.

Comes in: the cards of `tests/contract`, as data; nothing is played. Goes out: Markdown. `scripts/generate_reference.py`
writes it.
"""

from collections.abc import Iterable, Sequence

from scripts.struct_tables import table
from tests.contract.cards import ASKS, BALANCES, BIDS, BOTH, BTC, LAST, SHARED, Card, Only, Step
from tests.contract.deck import CARDS
from tests.contract.heard import rule_line

_GROUPS = (
    (1, "The life of orders"),
    (30, "What a venue does not take"),
    (45, "What it says when it is asked"),
    (50, "Trouble on the way and at the venue"),
    (60, "What others do"),
    (70, "Connections and restarts"),
    (80, "Traps of CCXT"),
    (101, "How an order is changed"),
)


def page() -> str:
    """Return the page."""
    n_both = sum(card.where == BOTH for card in CARDS)
    n_equal = sum(card.where == BOTH and not card.why for card in CARDS)
    parts = [
        "# Contract cards\n",
        "What may be relied on at a venue, one numbered card per behavior: what is done, and exactly what the engine hears "
        "of it, in order, and nothing else. Ids and times are left out. `make integration` plays every card "
        "(`tests/contract`) at the simulated venue of backtests and paper sessions, on ticks, behind its host and gateway, and at "
        "the [local exchange](../local-exchange.md) over real sockets, through CCXT and the live adapter.\n",
        f"There are {len(CARDS)} cards. {n_both} are played at both venues: at {n_equal} both say the same, at "
        f"{n_both - n_equal} they differ as the card says, and why. {len(CARDS) - n_both} are played at the local exchange "
        "alone, and say why.\n",
        f"Every card begins with {rule_line(BTC)}; bids {_levels(BIDS)}, asks {_levels(ASKS)}, last trade at {LAST}; fees "
        f"of 10 bps; an account that holds {', '.join(f'{qty} {asset}' for asset, qty in BALANCES.items())}. Quantities "
        "are in BTC, prices in USDT. Time stands still but for what a card lets pass.\n",
        table(["card", "claim", "simulated venue", "local exchange"], map(_row, CARDS)),
    ]
    heads = dict(_GROUPS)
    for card in CARDS:
        if card.number in heads:
            parts.append(f"## {heads[card.number]}\n")
        parts += _card(card)
    return "\n".join(parts)


def _levels(levels: dict[str, str] | object) -> str:
    assert isinstance(levels, dict)
    return ", ".join(f"{qty} at {price}" for price, qty in levels.items())


def _row(card: Card) -> list[str]:
    is_both = card.where == BOTH
    return [
        f"[{card.number}](#{card.number})",
        card.title,
        ("differs" if card.why else "the same") if is_both else "no",
        "yes",
    ]


def _card(card: Card) -> Iterable[str]:
    yield f'### <a id="{card.number}"></a>{card.number}. {card.title}\n'
    if card.source:
        yield f"{card.source}\n"
    if card.why:
        yield f"{'They differ' if card.where == BOTH else 'At the local exchange alone'}: {card.why}\n"
    if card.setup not in (SHARED, type(card.setup)()):
        yield f"Set up with {', '.join(_setup(card))}.\n"
    yield "```text"
    yield from _script(card.script)
    yield "```\n"


def _setup(card: Card) -> Iterable[str]:
    setup = card.setup
    for name, value in {**setup.rules, **setup.options}.items():
        yield f"{name} = {f'{value[0]} to {value[1]}' if isinstance(value, tuple) else value}"
    if setup.stream != "signature":
        yield "no user stream" if setup.stream == "none" else "a user stream by listen key"
    if setup.balances != BALANCES:
        yield "balances of " + ", ".join(f"{qty} {asset}" for asset, qty in setup.balances.items())
    if setup.own_addresses:
        yield "the venue's own addresses, by https"


def _script(script: Sequence[Step | Only | str]) -> Iterable[str]:
    for step in script:
        if isinstance(step, str):
            yield f"    {step}"
        elif isinstance(step, Only):
            yield from (f"    {line}   [{step.where.value}]" for line in step.lines)
        else:
            yield f"> {step.words}"
