"""What a file holds is told by those who will read it, by its columns, and by its own header before all."""

from pathlib import Path

import pytest

from njord.apps.data_sources import open_table
from njord.core.errors import DataError
from njord.storage.bars_options import BarOptions
from njord.storage.store.kinds import DataKind

BARS = [f"{1_700_000_000_000 + 60_000 * minute},10,12,9,11,5" for minute in range(3)]
KLINES = [f"{line},{1_700_000_059_999 + 60_000 * n},1,1,1,1,0" for n, line in enumerate(BARS)]
DUMP = [f"{n},10.5,2,21,{1_700_000_000_000 + n},True,True" for n in range(3)]
TRADES = [f"{1_700_000_000_000 + n}|{n}|buy|10.5|2" for n in range(3)]

FILES = {
    "long names": ("timestamp,open,high,low,close,volume", BARS, (), DataKind.BARS),
    "short names": ("t,o,h,l,c,v", BARS, (), DataKind.BARS),
    "names of prices": ("time,open_price,high_price,low_price,close_price,vol", BARS, (), DataKind.BARS),
    "names that only the user knows": (
        "a,b,c,d,e,f",
        BARS,
        tuple(zip(("time", "open", "high", "low", "close", "volume"), "abcdef", strict=True)),
        DataKind.BARS,
    ),
    "a dump of bars without a header": ("", KLINES, (), DataKind.BARS),
    "a dump of trades without a header": ("", DUMP, (), DataKind.TRADES),
    "trades between upright strokes": ("time|id|side|price|qty", TRADES, (), DataKind.TRADES),
}


@pytest.mark.parametrize("what", FILES)
def test_the_kind_is_what_the_columns_say(what: str, tmp_path: Path) -> None:
    header, lines, columns, kind = FILES[what]
    path = tmp_path / "BTC_USDT.csv"
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n")
    with open_table(path, None, BarOptions(columns=columns), {}) as rows:
        assert (rows.kind, rows.n_rows) == (kind, 3)


def test_columns_of_neither_kind_are_refused_with_what_each_kind_lacks(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT.csv"
    path.write_text("time,open,high,low\n1,2,3,4\n")
    with (
        pytest.raises(DataError, match=r"neither bars \(.*close.*\) nor trades \(.*price.*\); .*--kind bars"),
        open_table(path, None, BarOptions(), {}),
    ):
        pass


def test_a_header_of_ours_says_more_than_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text(
        '{"njord":"data","schema":1,"kind":"trades","key":"","instrument":{"symbol":"BTC/USDT","venue":"v",'
        '"base":"BTC","quote":"USDT","tick_size":"0.1","lot_size":"1"},"interval_ns":0,"hash":""}\n'
        '[1,1,1,1,"2.5","3"]\n'
    )
    with (
        pytest.raises(DataError, match="holds trades, not bars"),
        open_table(path, DataKind.BARS, BarOptions(), {}),
    ):
        pass
    with open_table(path, DataKind.TRADES, BarOptions(), {}) as rows:
        assert (rows.kind, rows.n_rows) == (DataKind.TRADES, 1)
