"""What may be typed about strategies: ids, names, symbols and parameters."""

from pathlib import Path

import msgspec
import pytest

from njord.backtest.request import load_strategies, prepare_strategies
from njord.core.errors import UserError
from tests.unit.backtest.market_samples import instrument

INSTRUMENTS = (instrument("BTC/USDT"), instrument("ETH/USDT"))


def prepared(*typed: str, params: tuple[str, ...] = ()) -> dict[str, tuple[str, tuple[int, ...], int]]:
    strategies = prepare_strategies(load_strategies(typed), params, INSTRUMENTS)
    return {
        each.strategy_id: (each.loaded.name, each.instruments, msgspec.structs.asdict(each.params)["fast"])
        for each in strategies
    }


def test_a_bare_name_is_its_id_and_trades_everything() -> None:
    assert prepared("sma_cross", params=("fast=7",)) == {"sma_cross": ("sma_cross", (0, 1), 7)}


def test_ids_and_symbols_are_read_around_the_name() -> None:
    assert prepared("a=sma_cross@ETH/USDT", "b=sma_cross@ETH/USDT,BTC/USDT", params=("b.fast=7", "fast=8")) == {
        "a": ("sma_cross", (1,), 8), "b": ("sma_cross", (0, 1), 8),
    }  # fmt: skip
    assert prepared("a=sma_cross", "b=sma_cross", params=("fast=8", "b.fast=7"))["b"][2] == 7


def test_a_path_with_the_signs_in_it_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a=b@c.py"
    path.write_text("from njord.strategies import Strategy\nclass Mine(Strategy):\n    pass\n")
    (strategy,) = load_strategies((str(path),))
    assert strategy.strategy_id == "a=b@c"


@pytest.mark.parametrize(
    ("typed", "params", "says"),
    [
        (("sma_cross", "sma_cross"), (), "two strategies are called 'sma_cross'; give one an id of its own"),
        (("sma_cross@XRP/USDT",), (), "asks for XRP/USDT, which --data does not have; "),
        (("sma_cross@",), (), "names no symbol after @; for example"),
        (("sma_cross@BTC/USDT,",), (), "names no symbol after @; for example"),
        (("sma_kross",), (), "no strategy is called 'sma_kross'; did you mean 'sma_cross'"),
        (
            ("sma_cross",),
            ("b.fast=1",),
            "--param b.fast=1 is for 'b', which is no strategy here; known: sma_cross",
        ),
        (("sma_cross",), ("speed=1",), "sma_cross has no parameter 'speed'"),
        (("a=sma_cross", "b=sma_cross"), ("speed=1",), "sma_cross has no parameter 'speed'"),
        (("sma_cross",), ("fast",), "--param takes key=value, was 'fast'"),
        (("sma_cross",), ("fast=x",), "fast must be int, was 'x'"),
    ],
)
def test_what_can_not_be_meant_is_refused_in_one_line(
    typed: tuple[str, ...], params: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError) as refused:
        prepared(*typed, params=params)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (
            "def __init__(self, params):\n        raise KeyError('x')",
            r"broken.py:4: KeyError: 'x'; correct the file",
        ),
        ("def warm_up(self):\n        return 1 // 0", "broken.py:4: ZeroDivisionError: integer division"),
        ("def warm_up(self):\n        raise SystemExit(0)", "broken.py:4: SystemExit: 0; correct the file"),
    ],
)
def test_a_class_that_can_not_be_made_is_refused_with_its_line(
    tmp_path: Path, member: str, says: str
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(f"from njord.strategies import Strategy\nclass Broken(Strategy):\n    {member}\n")
    with pytest.raises(UserError) as refused:
        prepare_strategies(load_strategies((str(path),)), (), INSTRUMENTS)
    assert f"strategy broken can not be made: {says}" in str(refused.value)
