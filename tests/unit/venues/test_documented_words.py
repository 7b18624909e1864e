"""Nothing that an order can say or a fill can hang on is missing from its page."""

from pathlib import Path

import pytest

from njord.core.config import BacktestConfig
from njord.core.types import OrderReason, OrderType, TimeInForce

DOCS = Path(__file__).resolve().parents[3] / "docs"
OF_NO_FILL = {"capital", "seed", "account_id", "risk_profile", "poison_cuts"}


@pytest.mark.parametrize(
    "word",
    [
        *(member.name for member in OrderType),
        *(member.name for member in TimeInForce),
        *(reason.value for reason in OrderReason if reason),
    ],
)
def test_order_types_names_every_type_time_in_force_and_reason(word: str) -> None:
    assert f"`{word}`" in (DOCS / "order-types.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", sorted(set(BacktestConfig.model_fields) - OF_NO_FILL))
def test_fill_models_names_every_setting_that_fills_hang_on(setting: str) -> None:
    assert f"`{setting}" in (DOCS / "fill-models.md").read_text(encoding="utf-8")
