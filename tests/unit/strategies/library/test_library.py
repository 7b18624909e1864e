"""What every shipped strategy keeps, found by being there: its warm-up, its determinism, one state per symbol."""

import pkgutil
import random
from typing import Any

import msgspec
import pytest

from njord.adapters.plugins import load_strategy
from njord.core.codec import encode
from njord.core.contracts import ProposalRefused
from njord.strategies import Strategy, library
from tests.unit.strategies.library.driver import Driver

NAMES = sorted(module.name for module in pkgutil.iter_modules(library.__path__))
# Short memories, so that short series do much.
PARAMS: dict[str, dict[str, Any]] = {
    "grid": {"step_bps": 20},
    "rsi_tema_bb": {"rsi_period": 5, "tema_span": 4, "bb_window": 10, "bb_width": 1.5},
    "sma_cross": {"fast": 3, "slow": 8},
    "trendline_break": {"break_bps": 100},
}
SILENT_ON_BARS = {"market_maker"}


def made(name: str) -> Strategy:
    cls = load_strategy(name).cls
    return cls(cls.Params(**PARAMS.get(name, {})))


def walk(n: int, seed: int = 5) -> list[int]:
    chance, closes, price = random.Random(seed), [], 10_000
    for number in range(n):
        price += chance.randint(-60, 60) + (25 if number // 20 % 2 else -25)
        closes.append(price)
    return closes


def play(driver: Driver, closes: list[int], start: int = 0) -> list[tuple[int, Any]]:
    """Feed bars; the venue fills every second order one bar later, and cancels what it is asked to."""
    said = []
    for number, close in enumerate(closes[start:], start):
        for order in driver.working()[::2]:
            driver.fill(order, price_ticks=close)
        proposals = driver.bar(number, close)
        driver.cancel(proposals)
        said += [(number, proposal) for proposal in proposals]
    return said


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_proposed_before_the_warm_up_has_ended(name: str) -> None:
    strategy = made(name)
    said = play(Driver(strategy), walk(500))
    assert not [each for _, each in said if isinstance(each, ProposalRefused)]
    assert bool(said) is (name not in SILENT_ON_BARS)
    assert all(number + 1 >= strategy.warm_up() for number, _ in said)


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_propose_the_same_byte_for_byte(name: str) -> None:
    first, second = (play(Driver(made(name)), walk(500)) for _ in range(2))
    assert [encode(each) for _, each in first] == [encode(each) for _, each in second]


@pytest.mark.parametrize("name", NAMES)
def test_another_symbol_changes_nothing(name: str) -> None:
    both, noise = Driver(made(name), made(name)), walk(500, seed=9)
    said = []
    for number, close in enumerate(walk(500)):
        for order in both.working()[::2]:
            both.fill(order, price_ticks=close)
        both.bar(number, 3 * noise[number], index=1)
        proposals = both.bar(number, close)
        both.cancel(proposals)
        said += [(number, each) for each in proposals]
    alone = play(Driver(made(name)), walk(500))
    assert [(n, _anonymous(each)) for n, each in said] == [(n, _anonymous(each)) for n, each in alone]


# Ids count the proposals of both symbols.
def _anonymous(proposal: Any) -> Any:
    known = {"intent_id": "", "client_order_id": ""}
    blank = {name: value for name, value in known.items() if name in proposal.__struct_fields__}
    return msgspec.structs.replace(proposal, **blank)


@pytest.mark.parametrize("name", NAMES)
def test_no_decision_depends_on_what_came_before_the_warm_up(name: str) -> None:
    closes, start = walk(900), 400
    strategy = made(name)
    begin = start + max(strategy.warm_up(), 1) - 1
    short = play(Driver(strategy), closes, start)
    strategy = made(name)
    strategy.warm_from = begin + 1  # The same first decision, after 400 bars more.
    assert play(Driver(strategy), closes) == short


@pytest.mark.parametrize("name", sorted({*NAMES} - {"sma_cross"}))  # Its deque has no place in JSON.
def test_a_declared_state_can_be_stored_and_read_again(name: str) -> None:
    driver = Driver(made(name))
    play(driver, walk(300))
    state = driver.runner._hosted[0].strategy.state
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state
