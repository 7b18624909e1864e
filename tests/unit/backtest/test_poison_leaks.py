"""Ten ways to see the future, planted: each is caught, and what was read is named."""

from pathlib import Path

import pytest

from njord.core.contracts import Bar, BrokerOrderReq, BrokerPending, BrokerReply, BrokerReport
from njord.venues.simulated import SimulatedVenue
from tests.unit.backtest.poison_run import HEADER, ON_FEATURE, poisoned, run

pytestmark = pytest.mark.integration  # Together they take a second.

# What a user would write in precompute(), and believe.
LEAKY_FEATURES = {
    "an indicator over the whole array": """
        centered = np.convolve(bars.close_price, np.ones(9) / 9, mode="same")
        return {"x": bars.close_price - centered}
""",
    "a negative shift": """
        return {"x": np.append(bars.close_price[1:], np.nan) - bars.close_price}
""",
    "a resample labelled at its open": """
        last_of_each = np.minimum(np.arange(len(bars)) // 5 * 5 + 4, len(bars) - 1)
        return {"x": bars.close_price[last_of_each] - bars.open_price}
""",
    "a global normalization": """
        return {"x": (bars.close_price - bars.close_price.mean()) / bars.close_price.std()}
""",
    "the next bar's open": """
        return {"x": np.append(bars.open_price[1:], np.nan) - bars.open_price}
""",
    "a future fill's price": """
        entry, exit = np.roll(bars.open_price, -1), np.roll(bars.open_price, -4)
        return {"x": exit - entry * 1.001}
""",
    "a bar that is revised later": """
        beside = np.stack([np.roll(bars.close_price, 1), bars.close_price, np.roll(bars.close_price, -1)])
        return {"x": bars.close_price - np.median(beside, axis=0)}
""",
    "times shifted by one bar": """
        here = np.searchsorted(bars.ts_open_ns, bars.ts_ns)
        return {"x": bars.close_price[np.minimum(here, len(bars) - 1)] - bars.open_price}
""",
}


@pytest.mark.parametrize("name", LEAKY_FEATURES)
def test_a_feature_that_reads_later_bars_is_named_with_its_row(name: str, tmp_path: Path) -> None:
    text = HEADER + "    def precompute(self, bars):" + LEAKY_FEATURES[name] + ON_FEATURE
    with run(tmp_path, text, n_bars=150) as which:
        assert not which.error
        verdict = poisoned(which, n_cuts=5)
    assert verdict.leaks and not verdict.passed
    for leak in verdict.leaks:
        assert leak.strategy_id == "case" and leak.ts_ns <= leak.cut_ns
        assert (leak.expected == leak.derived) is (leak.kind == "precompute")
        assert leak.read.startswith("feature 'x' at 2024-01-01T0")
        assert " changed from " in leak.read and " when only bars after 2024-01-01T0" in leak.read


PEEKING_TARGET = """
    def precompute(self, bars):
        self.bars = bars

    def on_bar(self, ctx, bar):
        later = self.bars.close[min(ctx.n_bars, len(self.bars) - 1)]
        wants = bool(later > bar.close_ticks)
        return None if wants is bool(ctx.qty) else Target(weight=0.5 if wants else 0.0)
"""


def test_a_peeking_target_is_named_with_its_callback(tmp_path: Path) -> None:
    with run(tmp_path, HEADER + PEEKING_TARGET, n_bars=150) as which:
        verdict = poisoned(which)
    assert verdict.leaks
    for leak in verdict.leaks:
        assert (
            leak.kind == "Target"
            or not leak.derived
            or not leak.expected
            or "Target" in leak.expected + leak.derived
        )
        assert leak.read.startswith("on_bar of case at 2024-01-01T0")


class SameBarVenue(SimulatedVenue):
    """Fills an order at the close that it was decided on."""

    last: Bar
    early: tuple[BrokerReport, ...] = ()

    def observe(self, bar: Bar) -> None:
        self.last = bar
        super().observe(bar)

    def place(self, req: BrokerOrderReq) -> BrokerReply:
        super().place(req)
        close = self.last.close
        again = Bar(
            ts_ns=req.ts_ns,
            ts_open_ns=req.ts_ns,
            instrument=0,
            open=close,
            high=close,
            low=close,
            close=close,
        )
        self.early = tuple(self.on_bar(again))
        return BrokerPending(client_order_id=req.client_order_id)

    def drain(self) -> list[BrokerReport]:
        early, self.early = self.early, ()
        return [*early, *super().drain()]


CLEAN = """
    def on_bar(self, ctx, bar):
        if ctx.n_bars % 10 == 1:
            return Target(weight=0.5)
        return Target(weight=0.0) if ctx.n_bars % 10 == 6 else None
"""


def test_a_fill_at_the_close_that_decided_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run(tmp_path, HEADER + CLEAN, n_bars=120) as which:
        honest = poisoned(which, n_cuts=1)
    assert honest.passed and honest.n_fills > 20
    (tmp_path / "too early").mkdir()
    monkeypatch.setattr("njord.backtest.simulation.SimulatedVenue", SameBarVenue)
    with run(tmp_path / "too early", HEADER + CLEAN, n_bars=120) as which:
        verdict = poisoned(which, n_cuts=1)
    assert not verdict.leaks  # No noise can show it: the price was known.
    assert len(verdict.acausal_fills) == verdict.n_fills == honest.n_fills
    first = verdict.acausal_fills[0]
    assert (first.symbol, first.strategy_id) == ("BTC/USDT", "case")
    assert first.began_ns < first.order_ns == first.ts_ns
