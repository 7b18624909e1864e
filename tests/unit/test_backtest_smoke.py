"""The thinnest path, end to end: a market, the engine, a result, twice."""

from pathlib import Path

from njord.apps.trial import run_on_synthetic


def test_the_same_market_gives_the_same_orders_and_the_same_journal(tmp_path: Path) -> None:
    first = run_on_synthetic("sma_cross", tmp_path / "first")
    second = run_on_synthetic("sma_cross", tmp_path / "second")
    assert first.fills
    assert first.order_list_hash == second.order_list_hash
    assert first.journal == second.journal
