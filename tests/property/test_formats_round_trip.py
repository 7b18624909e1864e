"""Any rows of any kind come back from any form as they went out; any decimal text is read as the decimal it is."""

import tempfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.core.instrument import Instrument
from njord.core.types import InstrumentKind
from njord.storage.export import ExportFormat, export
from njord.storage.ingest.decimals import Numbers, in_steps, read_numbers, read_steps, step_texts
from njord.storage.ingest.frames import open_rows
from njord.storage.store.kinds import COLUMNS, Columns, DataKind
from njord.storage.store.rows_hash import rows_hash

INT64_MAX = 2**63 - 1
STEPS = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale),
    st.sampled_from([1, 2, 5, 25, 3, 125]),
    st.integers(-3, 18),
)
AMOUNTS = st.one_of(st.integers(0, 10**6), st.integers(0, 2**62), st.sampled_from([0, 1, 2**53 + 1, 2**62]))


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    symbol, kind = draw(
        st.sampled_from([("BTC/USDT", InstrumentKind.SPOT), ("BTC/USD:USD", InstrumentKind.LINEAR)])
    )
    return Instrument(
        symbol=symbol,
        venue=draw(st.text(st.characters(codec="utf-8"), max_size=8)),
        base="BTC",
        quote="USD",
        tick_size=draw(STEPS),
        lot_size=draw(STEPS),
        min_qty=draw(STEPS),
        kind=kind,
        money_scale=draw(st.integers(0, 18)),
    )


@st.composite
def blocks(draw: st.DrawFn, kind: DataKind) -> list[Columns]:
    sizes = draw(st.lists(st.integers(0, 5), max_size=3))
    n_rows = sum(sizes)

    def column(name: str) -> list[int]:
        if name == COLUMNS[kind][0]:
            return sorted(draw(st.lists(st.integers(0, INT64_MAX), min_size=n_rows, max_size=n_rows)))
        return draw(st.lists(AMOUNTS, min_size=n_rows, max_size=n_rows))

    whole = {name: np.array(column(name), dtype=np.int64) for name in COLUMNS[kind]}
    ends = np.cumsum([0, *sizes]).tolist()
    return [{name: values[start:end] for name, values in whole.items()} for start, end in pairwise(ends)]


# Twelve milliseconds an example: the fast suite has the extremes of every kind and form instead.
@pytest.mark.integration
@given(st.data())
def test_any_rows_of_any_kind_come_back_from_any_form(data: st.DataObject) -> None:
    kind, form = data.draw(st.sampled_from(DataKind)), data.draw(st.sampled_from(ExportFormat))
    instrument, rows = data.draw(instruments()), data.draw(blocks(kind))
    interval_ns = data.draw(st.integers(1, 10**15)) if kind is DataKind.BARS else 0
    digest = rows_hash(kind, instrument, interval_ns)
    for block in rows:
        digest.add([block[name] for name in COLUMNS[kind]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{form.value}"
        done = export(rows, kind, instrument, interval_ns, path, form, key="é/x")
        with open_rows(path) as source:
            assert (source.kind, source.instrument, source.key) == (kind, instrument, "é/x")
            assert (source.interval_ns, source.hash, done.hash) == (interval_ns, digest.text(), digest.text())
            back = list(source.rows(3))
    for name in COLUMNS[kind]:
        wanted = [value for block in rows for value in block[name].tolist()]
        assert [value for block in back for value in block[name].tolist()] == wanted


DIGITS = st.text("0123456789", min_size=1, max_size=17)
TEXTS = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["", "-", "+"]), DIGITS),
    st.builds("{}{}.{}".format, st.sampled_from(["", "-", " "]), DIGITS.map(lambda text: text[:8]), DIGITS.map(lambda text: text[:9])),
    st.builds("{}e{}".format, DIGITS.map(lambda text: text[:4]), st.integers(-20, 10)),
    st.floats(1e-15, 1e15).map(repr),
)  # fmt: skip


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_any_text_is_the_decimal_it_shows(texts: list[str]) -> None:
    numbers = read_numbers(pl.Series(texts), "x", 1, "f")
    read = [
        Decimal(digits).scaleb(-decimals)
        for digits, decimals in zip(numbers.digits.tolist(), numbers.decimals.tolist(), strict=True)
    ]
    assert read == [Decimal(text.strip()) for text in texts]


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-15, 1e18)), min_size=1, max_size=30))
def test_any_float_is_its_shortest_decimal(values: list[float]) -> None:
    numbers = read_numbers(pl.Series(values), "x", 1, "f")
    read = [
        Decimal(digits).scaleb(-decimals)
        for digits, decimals in zip(numbers.digits.tolist(), numbers.decimals.tolist(), strict=True)
    ]
    assert read == [Decimal(repr(value)) for value in values]


@given(
    st.lists(st.tuples(st.integers(-INT64_MAX, INT64_MAX), st.integers(0, 36)), min_size=1, max_size=20),
    STEPS.filter(lambda step: step <= 10**6),
)
def test_steps_are_the_nearest_ones_or_none(pairs: list[tuple[int, int]], step: Decimal) -> None:
    scale = max(0, -int(step.as_tuple().exponent))
    multiple = int(step.scaleb(scale))
    numbers = Numbers(*(np.array(part, dtype=np.int64) for part in zip(*pairs, strict=True)))
    found = in_steps(numbers, scale, multiple)
    wanted, exact = [], []
    for digits, decimals in pairs:
        top, bottom = digits * 10 ** max(0, scale - decimals), multiple * 10 ** max(0, decimals - scale)
        whole, rest = divmod(top, bottom)
        wanted.append(whole + (2 * rest > bottom or (2 * rest == bottom and whole % 2 == 1)))
        exact.append(rest == 0)
    if any(abs(value) > INT64_MAX for value in wanted):
        assert found is None
        return
    assert found is not None
    assert found.values.tolist() == wanted
    assert (~(found.dirty | found.off_grid)).tolist() == exact
    assert not (found.dirty & found.off_grid).any()


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=30), STEPS)
def test_steps_written_as_text_are_read_as_they_were(values: list[int], step: Decimal) -> None:
    scale = max(0, -int(step.as_tuple().exponent))
    multiple = int(step.scaleb(scale))
    texts = step_texts(np.array(values), scale, multiple)
    assert [Decimal(text) for text in texts] == [Decimal(f"{value * multiple}e-{scale}") for value in values]
    back = read_steps(texts, scale, multiple)
    assert back is not None
    assert back.tolist() == values
