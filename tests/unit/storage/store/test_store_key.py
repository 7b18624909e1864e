"""A dataset's name is a folder that every system takes and that never leads out of the store."""

import pytest

from njord.core.errors import DataError
from njord.storage.store.key import DatasetKey
from njord.storage.store.kinds import DataKind


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (DatasetKey(DataKind.BARS, "binanceus", "BTC/USDT", "1m"), "bars/binanceus/BTC-USDT/1m"),
        (DatasetKey(DataKind.TRADES, "binance", "BTC/USD:USD"), "trades/binance/BTC-USD-USD"),
        (DatasetKey(DataKind.BOOK, "binance", "1000SHIB/USDT"), "book/binance/1000SHIB-USDT"),
        (DatasetKey(DataKind.QUOTES, "okx", "币/USDT"), "quotes/okx/_5e01-USDT"),
        (DatasetKey(DataKind.TRADES, "okx", "A B\n/USDT"), "trades/okx/A_20B_a-USDT"),
    ],
)
def test_a_key_is_a_plain_relative_path(key: DatasetKey, path: str) -> None:
    assert key.path == path
    kind, venue, folder, timeframe = DatasetKey.parse_path(path)
    assert (kind, venue, timeframe) == (key.kind, key.venue, key.timeframe)
    assert folder in path


@pytest.mark.parametrize(
    ("venue", "symbol", "timeframe"),
    [
        ("..", "BTC/USDT", "1m"),
        ("a/b", "BTC/USDT", "1m"),
        ("", "BTC/USDT", "1m"),
        (".hidden", "BTC/USDT", "1m"),
        ("binance", "../../etc", "1m"),
        ("binance", "", "1m"),
        ("binance", "X" * 200, "1m"),
        ("binance", "BTC/USDT", ""),
        ("binance", "BTC/USDT", "1 m"),
        ("binance", "BTC/USDT", "1m/.."),
    ],
)
def test_a_key_that_can_not_be_a_folder_is_refused_in_one_line(
    venue: str, symbol: str, timeframe: str
) -> None:
    with pytest.raises(DataError) as refused:
        DatasetKey(DataKind.BARS, venue, symbol, timeframe)
    assert "\n" not in str(refused.value)


def test_only_bars_have_a_timeframe() -> None:
    with pytest.raises(DataError, match="trades have no timeframe, was 1m; leave it out"):
        DatasetKey(DataKind.TRADES, "binance", "BTC/USDT", "1m")


@pytest.mark.parametrize(
    "text",
    ["", "bars", "bars/binance/BTC-USDT", "trades/binance/../x", "trades//BTC-USDT", "other/binance/BTC-USDT",
     "trades/binance/.tmp", "/etc/passwd", "trades/binance/BTC-USDT/1m", "trades/bin ance/BTC-USDT"],
)  # fmt: skip
def test_a_path_that_names_no_dataset_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="names no dataset; write it like bars/binanceus/BTC-USDT/1m"):
        DatasetKey.parse_path(text)


def test_keys_sort_by_kind_venue_and_symbol() -> None:
    keys = [
        DatasetKey(DataKind.TRADES, "binance", "ETH/USDT"),
        DatasetKey(DataKind.TRADES, "binance", "BTC/USDT"),
        DatasetKey(DataKind.BOOK, "okx", "ETH/USDT"),
    ]
    assert [key.path for key in sorted(keys)] == sorted(key.path for key in keys)
