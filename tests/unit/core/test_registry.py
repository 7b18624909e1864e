"""Parameters from the command line: typed, named, refused with a remedy."""

from decimal import Decimal

import pytest

from njord.core.errors import StrategyError
from njord.core.registry import canonical_params, convert_params, nearest, parse_params
from njord.strategies.base import StrategyParams


class Params(StrategyParams, frozen=True):
    """What a strategy might take."""

    window: int = 20
    weight: float = 1.0
    qty: Decimal | None = None
    name: str = "x"

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"window must be >= 1, was {self.window}")


def test_texts_become_what_the_class_declares() -> None:
    given = parse_params("s", Params, ["window=5", " weight = 0.5", "qty=0.10", "name=a=b"])
    assert given == Params(window=5, weight=0.5, qty=Decimal("0.10"), name="a=b")
    assert parse_params("s", Params, ["qty=none"]) == Params()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("window", "--param takes key=value, was 'window'"),
        ("windw=5", "s has no parameter 'windw'; did you mean 'window'?"),
        ("zzz=5", "s has no parameter 'zzz'; known: name, qty, weight, window"),
        ("window=1.5", "1.5"),
        ("window=ten", "ten"),
        ("window=0", "window must be >= 1, was 0"),
        ("=5", "s has no parameter ''"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(StrategyError) as refused:
        parse_params("s", Params, [text])
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_canonical_text_comes_back_as_the_same_parameters() -> None:
    given = Params(window=3, qty=Decimal("0.10"))
    text = canonical_params(given)
    assert text == '{"name":"x","qty":"0.10","weight":1.0,"window":3}'
    assert convert_params("s", Params, {"name": "x", "qty": "0.10", "weight": 1.0, "window": 3}) == given


def test_the_nearest_name_or_all_of_them() -> None:
    assert nearest("smacross", ["sma_cross", "other"]) == "did you mean 'sma_cross'?"
    assert nearest("x", []) == "known: none"
