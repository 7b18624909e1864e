"""A compiled strategy that places orders: its points are scored alike by both engines, and tables grow as they must."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from njord.adapters.config_loader import load_config
from njord.apps.synthetic import write_synthetic_csv
from njord.backtest import fused_orders
from njord.backtest.fused import FusedOrders, run_fused
from njord.backtest.fused_terms import NotFused
from njord.backtest.point import Params, Score, Window, point_spec
from njord.backtest.points import open_evaluator
from njord.backtest.request import BacktestRequest
from njord.backtest.session import prepare

pytestmark = pytest.mark.integration
NS_PER_DAY = 86_400 * 10**9
POINTS: list[Params] = [
    (("dip_bps", dip), ("target_bps", target)) for dip in ("3", "10") for target in ("5", "40")
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "SYNTH_USDT-1m.csv"
    write_synthetic_csv(path, 6_000, 7)
    return path


def same(ours: Any, theirs: Any) -> bool:
    """Say whether two figures of a score agree: counts exactly, sums of floats as far as their order allows."""
    if isinstance(ours, tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float):
        is_none = math.isnan(ours) and math.isnan(theirs)
        return is_none or math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12)
    return bool(ours == theirs)


@pytest.mark.long
@pytest.mark.parametrize("days", [None, 2])
def test_both_engines_score_the_points_of_placed_orders_alike(data: Path, days: int | None) -> None:
    request = BacktestRequest(strategy="limit_entry", data=data)
    spec = point_spec(request, load_config(data.parent, {}, {}).config, {}, 8)
    first_ns = int(data.read_text().splitlines()[1].split(",")[0]) * 10**6
    window = Window() if days is None else Window(start_ns=first_ns + days * NS_PER_DAY)
    scores: dict[str, list[Score]] = {}
    engines: tuple[Literal["fast", "ordered"], ...] = ("fast", "ordered")
    for engine in engines:
        evaluator = open_evaluator(spec, engine)
        assert evaluator.engine == engine
        scores[engine] = evaluator.evaluate(POINTS, window)
        evaluator.close()
    assert all(score.n_fills for score in scores["fast"])
    for ours, theirs in zip(scores["fast"], scores["ordered"], strict=True):
        differing = [
            name
            for name in Score.__struct_fields__
            if name != "engine" and not same(getattr(ours, name), getattr(theirs, name))
        ]
        assert not differing


def placed(data: Path) -> FusedOrders:
    """Run the shipped strategy in the loop."""
    request = BacktestRequest(strategy="limit_entry", data=data, params=("dip_bps=3", "target_bps=5"))
    prepared = prepare(request, load_config(data.parent, {}, {}).config, {})
    with prepared.market:
        ran = run_fused(prepared)
    assert isinstance(ran, FusedOrders)
    return ran


def test_a_table_that_is_too_short_is_made_longer(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roomy = placed(data)
    monkeypatch.setattr(fused_orders, "_ROOM", 1)
    grown = placed(data)
    assert len(roomy.ran.placed) > 8
    assert np.array_equal(roomy.ran.placed, grown.ran.placed)
    assert np.array_equal(roomy.ran.fills, grown.ran.fills)
    assert np.array_equal(roomy.refusals, grown.refusals)


def test_a_rule_that_the_loop_does_not_ask_is_named(data: Path) -> None:
    rules = {"cool_down": {"seconds": 60}}
    config = load_config(data.parent, {}, {}).config
    profiles = {
        **config.risk.profiles,
        "waits": config.risk.profiles["research"].model_copy(update={"rules": rules}),
    }
    risk = config.risk.model_copy(update={"profiles": profiles})
    settings = config.backtest.model_copy(update={"risk_profile": "waits"})
    config = config.model_copy(update={"risk": risk, "backtest": settings})
    prepared = prepare(BacktestRequest(strategy="limit_entry", data=data), config, {})
    with prepared.market, pytest.raises(NotFused, match="risk rule cool_down"):
        run_fused(prepared)
