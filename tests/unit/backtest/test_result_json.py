"""A result that is encoded in pieces is, byte for byte, what one call would have made of it."""

import msgspec
import pytest

from njord.apps.trial import run_on_synthetic
from njord.backtest import result_json
from njord.backtest.result import BacktestResult
from njord.backtest.result_json import encode_result


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> BacktestResult:
    folder = tmp_path_factory.mktemp("trial")
    return run_on_synthetic("sma_cross", folder, n_bars=400, params=("fast=2", "slow=5"))


@pytest.mark.parametrize("n", [0, 1, 3, 4, 6, 7])
def test_pieces_are_the_whole(result: BacktestResult, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_json, "_PIECE_ROWS", 3)
    # A word of a user's that looks like one of our fields must not mislead.
    whole = msgspec.structs.replace(
        result, fills=result.fills[:n], round_trips=result.round_trips[: n // 2],
        warnings=['\n "fills": [],', ' "round_trips": []'], strategies=[{"fills": [], "round_trips": []}],
    )  # fmt: skip
    assert len(whole.fills) == n
    assert encode_result(whole) == msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def test_rows_are_encoded_as_lists_of_the_same_would_be(result: BacktestResult) -> None:
    listed = msgspec.structs.replace(result, fills=list(result.fills), round_trips=list(result.round_trips))
    assert len(listed.fills) > 10
    assert len(listed.round_trips) > 5
    assert encode_result(result) == encode_result(listed)
    assert listed == result
    assert [fill.order_no for fill in result.fills] == sorted(fill.order_no for fill in result.fills)
    strategy = {fill.strategy_id for fill in result.fills} | {trip.strategy_id for trip in result.round_trips}
    assert strategy == {"sma_cross"}
