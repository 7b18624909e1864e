"""Arrow and pandas see what the store holds (pandas takes over a second to import)."""

from pathlib import Path

import numpy as np
import pytest

from njord.storage.store.kinds import DataKind
from tests.unit.storage.store.store_samples import DAY_NS, START_NS, new_store, piece, put, same, trades

pytestmark = pytest.mark.integration
ROWS = trades(200)


def test_arrow_and_pandas_hold_the_same_whole_numbers(tmp_path: Path) -> None:
    dataset = put(new_store(tmp_path), DataKind.TRADES, ROWS)
    table = dataset.to_arrow(columns=["trade_id", "price_ticks"])
    assert table.schema.names == ["trade_id", "price_ticks"]
    assert np.array_equal(table["price_ticks"].to_numpy(), ROWS["price_ticks"])
    frame = dataset.to_pandas(start_ns=START_NS + DAY_NS)
    assert same({str(name): frame[name].to_numpy() for name in frame}, piece(ROWS, 40, 200))
