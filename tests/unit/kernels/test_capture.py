"""Each kind of line in its usual form by hand, and what is no usual form."""

import numpy as np
import pytest

from njord.kernels.capture_steps import common_zeros, whole_steps
from njord.storage.ingest.capture_lines import LineKind, read_line
from tests.unit.storage.ingest.capture_samples import (
    E0,
    MS,
    ROOM,
    T0,
    Usual,
    agg_trade,
    depth,
    levels,
    raw,
    stream,
    ticker,
    trade,
)

VENUE_NS = E0 * MS
PRICE, QTY = 268_380_000_000, 200_000


@pytest.fixture(scope="module")
def usual() -> Usual:
    return Usual("ETHUSDT", "BTCUSDT", "1000000MOGUSDT")


@pytest.mark.parametrize(
    ("line", "kind", "symbol", "rows"),
    [
        (stream("ethusdt@trade", trade()), LineKind.TRADE, "ETHUSDT", [(VENUE_NS, 7, -1, PRICE, QTY)]),
        (raw(trade(maker="false")), LineKind.TRADE, "ETHUSDT", [(VENUE_NS, 7, 1, PRICE, QTY)]),
        (raw(trade(orders='"b":88,"a":50,')), LineKind.TRADE, "ETHUSDT", [(VENUE_NS, 7, -1, PRICE, QTY)]),
        (raw(trade(at=E0 * 1000 + 7)), LineKind.TRADE, "ETHUSDT", [(VENUE_NS + 7000, 7, -1, PRICE, QTY)]),
        (raw(trade(price="5", qty="9999999999.9")), LineKind.TRADE, "ETHUSDT", [(VENUE_NS, 7, -1, 5 * 10**8, 999999999990000000)]),
        (raw(agg_trade(symbol="1000000MOGUSDT")), LineKind.AGG_TRADE, "1000000MOGUSDT", [(VENUE_NS, 9, 1, PRICE, QTY)]),
        (stream("btcusdt@bookTicker", ticker(3, "0.00000000", "BTCUSDT")), LineKind.QUOTE, "BTCUSDT", [(3, 0, 302_920_000, 268_381_000_000, 3_143_950_000)]),
        (raw(depth(4, 4)), LineKind.DEPTH, "ETHUSDT", [(VENUE_NS, 4, 4, 8, 0, 0)]),
        (
            stream("ethusdt@depth", depth(4, 6, levels(("2.5", "0"), ("2", "1")), levels(("3", "0.00000001")))),
            LineKind.DEPTH, "ETHUSDT",
            [(VENUE_NS, 4, 6, 1, 250_000_000, 0), (VENUE_NS, 4, 6, 1, 200_000_000, 100_000_000), (VENUE_NS, 4, 6, 10, 300_000_000, 1)],
        ),
    ],
)  # fmt: skip
def test_a_usual_line_becomes_exact_rows(
    usual: Usual, line: str, kind: LineKind, symbol: str, rows: list[tuple[int, ...]]
) -> None:
    parsed = usual.read(line.encode())
    assert parsed is not None
    assert (parsed.kind, parsed.symbol, parsed.ts_ns, list(parsed.rows)) == (kind, symbol, T0, rows)
    assert parsed == read_line(line.encode())


@pytest.mark.parametrize(
    "line",
    [
        raw(trade()).replace(",", ", ", 1),
        raw(trade(symbol="XRPUSDT")),  # Not in the table.
        raw(trade(price="0.00000000")),
        raw(trade(price="02.5")),
        raw(trade(price="2.")),
        raw(trade(price=".5")),
        raw(trade(price="1e3")),
        raw(trade(price="-1")),
        raw(trade(price="10000000000")),
        raw(trade(price="1.000000000")),
        raw(trade(qty="0")),
        raw(trade(maker="True")),
        raw(trade(at=1)),
        raw(trade(at=E0 * 10**9)),
        raw(trade(10**18)),
        raw(trade()).replace('"t":7', '"t":07'),
        raw(trade()).replace('"t":7', '"t":'),
        raw(trade()) + " ",
        raw(trade()) + "}",
        raw(trade())[:-1],
        stream("ethusdt@trade", trade())[:-1],
        stream("ethusdt\\u0040trade", trade()),
        stream("ethusdt@tradé", trade()),
        stream("x" * 90, trade()),
        raw(depth(7, 6)),
        raw(depth(4, 6, levels(("0", "1")))),
        raw(depth(4, 6, '[["1","1"],]')),
        raw(depth(4, 6, '[["1","1",[]]]')),
        raw(depth(4, 6, '[["1"]]')),
        raw(trade(), 10**18 - 1),
        raw(trade(), 92 * 10**17),
        "0" + raw(trade()),
        raw('{"result":null}'),
        "",
        "x",
        "\0" * 200,
    ],
)
def test_what_deviates_in_any_byte_is_left_to_the_strict_reading(usual: Usual, line: str) -> None:
    assert usual.read(line.encode()) is None


def test_the_grid_is_the_coarsest_that_all_amounts_lie_on() -> None:
    amounts = np.array([2_500_000, 0, 100_000_000], dtype=np.int64)
    assert common_zeros(amounts, 8) == 5
    assert common_zeros(amounts[1:], 8) == 8
    assert common_zeros(amounts, 3) == 3
    assert common_zeros(amounts[:0], 8) == 8


def test_amounts_become_whole_steps_or_the_first_misfit_is_named() -> None:
    out = np.zeros(3, dtype=np.int64)
    assert whole_steps(np.array([10, 0, 25], dtype=np.int64), 5, 1, out) == 3
    assert out.tolist() == [2, 0, 5]
    assert whole_steps(np.array([10, 11, 25], dtype=np.int64), 5, 1, out) == 1
    assert whole_steps(np.array([1, 2, 3], dtype=np.int64), 1, 100, out) == 3
    assert out.tolist() == [100, 200, 300]
    assert whole_steps(np.array([1, 2**60, 3], dtype=np.int64), 1, 100, out) == 1


def test_a_line_with_more_rows_than_a_table_holds_is_not_taken_and_nothing_is_written_behind_it() -> None:
    usual = Usual("ETHUSDT")
    fits, too_many = (levels(*[("1", "1")] * n) for n in (ROOM, ROOM + 1))
    assert usual.read(raw(depth(1, 2, fits)).encode()) is not None
    assert usual.read(raw(depth(1, 2, too_many)).encode()) is None
    for table in usual.tables:
        table.resize((len(table), 0), refcheck=False)
    for payload in (trade(), agg_trade(), ticker(), depth(1, 2)):
        assert usual.read(raw(payload).encode()) is None
