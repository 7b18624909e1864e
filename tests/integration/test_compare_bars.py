"""Market, limit and stop orders on recorded bars: every trade is that of backtesting.py, or a named rule says why not."""

import shlex
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.differential import bars
from benchmarks.differential import bars_rules as rules
from benchmarks.differential.bars import Comparison, compare, read, run_ours, run_theirs
from benchmarks.differential.bars_rules import Exits, Market, Trade, linked_exits
from benchmarks.differential.plan import (
    COMBINATIONS,
    EPISODE,
    WARM_UP,
    Plan,
    PlanBar,
    combination_of,
    episode_of,
)
from tests.integration.peer_environment import peer_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

# As the page shows it; a test below runs it.
COMMAND = "python -m benchmarks.differential.bars BTC-PERP-1m.csv.gz ETH_BTC-5m.csv.gz LTC_BTC-5m.csv.gz"
# The least number of trades that a recording must give, so that agreement means something.
RECORDED = {"BTC-PERP-1m": 1_400, "ETH_BTC-5m": 150, "LTC_BTC-5m": 150}


def recorded(recordings: Path, start: str) -> Path:
    (path,) = (recordings / "bars").glob(f"{start}*")
    return path


@pytest.fixture(scope="module")
def python() -> Path:
    return peer_python("backtesting")


def compared(recordings: Path, start: str, python: Path) -> Comparison:
    path = recorded(recordings, start)
    market = read(path)
    return compare(market, run_ours(path, market), run_theirs(market, python))


@pytest.mark.long
def test_every_trade_agrees_or_differs_by_a_named_rule(
    recordings: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named, combinations = Counter[str](), Counter[tuple[str, str]]()
    for start, n_trades_min in RECORDED.items():
        found = compared(recordings, start, python)
        with capsys.disabled():
            bars.say(f"\n{start}", found)
        assert not found.unexplained
        assert len(found.ours) == len(found.theirs) > n_trades_min
        assert found.n_equal + found.explained.total() == len(found.ours)
        named += found.explained
        combinations += Counter(combination_of(episode_of(trade.entry_bar)) for trade in found.ours)
        assert {trade.sign for trade in found.ours} == ({1, -1} if found.market.may_short else {1})
    assert set(combinations) == set(COMBINATIONS)
    assert set(named) == {rules.OPEN_FIRST, rules.STOP_AT_ONCE, rules.TARGET_AT_ONCE, rules.ENTERED_AT_OPEN}


def test_the_command_exits_with_success_where_all_is_explained(
    recordings: Path, python: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(COMMAND)
    assert words[:3] == ["python", "-m", "benchmarks.differential.bars"]
    assert [word.removesuffix(".csv.gz") for word in words[3:]] == list(RECORDED)
    path = recorded(recordings, "ETH_BTC-5m")  # The whole command is what the test above did.
    assert bars.main([str(path), "--python", str(python)]) == 0
    assert capsys.readouterr().out.count(" 0 unexplained") == 1


def test_a_missing_environment_is_one_line_that_says_how_to_make_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEERS_ROOT", str(tmp_path))
    assert bars.main(["any.csv"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"python3 -m venv {tmp_path}/venv-backtesting" in said
    assert "locks/peer-backtesting.txt" in said


# --- the comparison itself ------------------------------------------------------------------------------------------

FLAT = PlanBar(100, 101, 99, 100)


def market_of(bars_: list[PlanBar]) -> Market:
    return Market("X/Y", "1", list(range(len(bars_))), bars_, False)


def test_a_difference_of_one_tick_is_unexplained() -> None:
    market = market_of([FLAT] * 60)
    trade = Trade(21, 25, 1, 100, 100)
    assert compare(market, [trade], [trade]).n_equal == 1
    found = compare(market, [trade], [trade._replace(exit_price=101)])
    assert (found.n_equal, len(found.unexplained)) == (0, 1)


def test_a_trade_of_one_side_alone_is_unexplained() -> None:
    trade = Trade(21, 25, 1, 100, 100)
    assert len(compare(market_of([FLAT] * 60), [trade], []).unexplained) == 1
    assert len(compare(market_of([FLAT] * 60), [], [trade]).unexplained) == 1


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_only_the_very_trades_of_a_rule_are_explained_by_it(kind: str) -> None:
    episode = next(number for number in range(45) if combination_of(number) == (kind, "bracket"))
    entry = WARM_UP + EPISODE * episode + 1
    market = market_of([FLAT] * entry + [PlanBar(100, 104, 96, 100)] + [FLAT] * EPISODE)
    price = 99 if kind == "limit" else 101
    ours = Trade(entry, entry, 1, price, price - 1)
    theirs = Trade(entry, entry + 1, 1, price, 100)
    assert linked_exits(market, [ours])[episode] == Exits(1, price + 1, price - 1, kind, entry)
    assert compare(market, [ours], [theirs]).explained == {rules.STOP_AT_ONCE: 1}
    for wrong in (ours._replace(exit_price=ours.exit_price + 1), ours._replace(exit_bar=entry + 2)):
        assert compare(market, [wrong], [theirs]).unexplained
    for wrong in (theirs._replace(exit_price=99), theirs._replace(exit_bar=entry + 2)):
        assert compare(market, [ours], [wrong]).unexplained


def test_the_plan_decides_on_what_has_closed() -> None:
    def sent(closes: list[int]) -> list[object]:
        plan = Plan(may_short=True)
        return [plan.on_bar(PlanBar(close, close + 3, close - 3, close), 0) for close in closes]

    closes = [1_000 + (7 * number * number) % 31 for number in range(200)]
    for cut in (50, 93, 117):
        other = [close if number <= cut else 2_000 - close for number, close in enumerate(closes)]
        assert sent(closes)[: cut + 1] == sent(other)[: cut + 1]
