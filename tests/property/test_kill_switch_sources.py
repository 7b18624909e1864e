"""Sources in every state of loss: the switch is ACTIVE when all of them freshly say so, and never else."""

from itertools import product
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from njord.adapters.kill_switch_sources import KillRecord, decode_record, read_kill_file
from njord.adapters.kill_switch_watch import Reading, counting
from njord.core.types import TradingState

STATES = tuple(TradingState)
STRICTNESS = {state: number for number, state in enumerate(STATES)}  # As they are declared: ACTIVE first.
OLDEST_S = 100.0
Found = tuple[float, Reading] | None


def found(name: str, state: TradingState, asked_s: float, flattens: bool = False) -> Found:
    return asked_s, Reading(state, name, "why", "who", flattens=flattens)


def losses(name: str) -> list[Found]:
    return [None, *(found(name, state, OLDEST_S + age) for state in STATES for age in (-0.1, 0.0, 1.0))]


@pytest.mark.parametrize(("file", "redis"), list(product(losses("file"), losses("redis"))))
def test_of_two_sources_in_every_combination_the_strictest_counts_and_a_lost_one_is_halted(
    file: Found, redis: Found
) -> None:
    expected = max(
        STRICTNESS[TradingState.HALTED if each is None or each[0] < OLDEST_S else each[1].state]
        for each in (file, redis)
    )
    assert STRICTNESS[counting({"file": file, "redis": redis}, OLDEST_S).state] == expected


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.none()
        | st.tuples(
            st.floats(0, 200), st.builds(Reading, st.sampled_from(STATES), st.text(), st.text(), st.text())
        ),
        min_size=1,
    )
)
def test_active_means_that_every_source_is_there_fresh_and_active(latest: dict[str, Found]) -> None:
    is_clear = all(
        each is not None and each[0] >= OLDEST_S and each[1].state is TradingState.ACTIVE
        for each in latest.values()
    )
    assert (counting(latest, OLDEST_S).state is TradingState.ACTIVE) is is_clear


@given(st.booleans(), st.booleans())
def test_of_equally_strict_words_one_that_flattens_counts(first: bool, second: bool) -> None:
    latest = {
        name: found(name, TradingState.REDUCE_ONLY, OLDEST_S, flattens)
        for name, flattens in (("file", first), ("redis", second))
    }
    assert counting(latest, OLDEST_S).flattens is (first or second)


RECORDS = st.builds(
    lambda state, reason, operator, ts_ns, flatten: KillRecord(
        state=state,
        reason=reason,
        operator=operator,
        ts_ns=ts_ns,
        flatten=flatten and state is TradingState.REDUCE_ONLY,
    ),
    st.sampled_from(STATES),
    st.text(),
    st.text(),
    st.integers(0, 2**62),
    st.booleans(),
)


@given(RECORDS, st.data())
def test_a_record_says_what_was_written_and_a_torn_one_is_none(
    record: KillRecord, data: st.DataObject
) -> None:
    written = msgspec.json.encode(record)
    assert decode_record(written) == record
    place = data.draw(st.integers(0, len(written) - 1))
    assert decode_record(written[:place]) is None


@given(st.binary(max_size=300))
def test_bytes_that_are_no_record_of_ours_are_none(content: bytes) -> None:
    record = decode_record(content)
    if record is not None:
        assert msgspec.convert(msgspec.json.decode(content), KillRecord) == record


@pytest.mark.parametrize(
    "content",
    [
        b'{"state":"active","reason":"","operator":"","ts_ns":1,"flatten":true}',
        b'{"state":"halted","reason":"","operator":"","ts_ns":1,"flatten":true}',
        b'{"state":"active","reason":"","operator":"","ts_ns":1,"later":1}',
        b'{"state":"active","reason":"","operator":""}',
        b'{"state":"active","reason":"' + b"x" * 70_000 + b'","operator":"","ts_ns":1}',
    ],
)
def test_a_record_that_contradicts_itself_or_is_of_another_version_is_halted(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "kill").write_bytes(content)
    assert read_kill_file(tmp_path / "kill").state is TradingState.HALTED
