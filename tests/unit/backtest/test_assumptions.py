"""What a result rests on is said where it applies, and nowhere else."""

from decimal import Decimal

import pytest

from njord.backtest.assumptions import assumptions
from njord.core.accounts import AccountTerms
from njord.core.config import BacktestConfig
from njord.system import SystemSpec
from tests.unit.backtest.market_samples import instrument


def said(*kinds: str, account: AccountTerms | None = None) -> str:
    spec = SystemSpec(
        run_id="r",
        account_id="main",
        report_asset="USDT",
        capital=Decimal(1),
        instruments=(instrument("BTC/USDT"),),
        strategies=(),
        risk_profile="research",
        risk_rules={},
        cost_bps=Decimal(0),
        account=account or AccountTerms(),
    )
    settings = BacktestConfig(slippage_model="linear", impact_bps=Decimal(7), leverage=Decimal(3))
    return " ".join(assumptions(spec, settings, kinds))


@pytest.mark.parametrize(
    ("kinds", "slips", "has_impact", "takes_levels"),
    [
        (("bars",), True, True, False),
        (("trades",), True, False, False),
        (("trades", "book"), False, False, True),
        (("bars", "trades", "book"), True, True, True),
    ],
)
def test_slippage_is_said_only_of_what_pays_it(
    kinds: tuple[str, ...], slips: bool, has_impact: bool, takes_levels: bool
) -> None:
    text = said(*kinds)
    assert ("Slippage 5 bp" in text, "Size adds 7 bp" in text) == (slips, has_impact)
    assert ("levels" in text) is takes_levels


def test_the_account_that_is_meant_is_told_not_guessed_again() -> None:
    perpetual = AccountTerms(kind="perpetual", leverage=Decimal(3))
    assert "Contracts settle in USDT with leverage 3" in said("bars", account=perpetual)
    assert "Contracts settle" not in said("bars")
    assert "borrowing costs nothing" in said("bars", account=AccountTerms(kind="margin", leverage=Decimal(3)))
