"""For any session, cut anywhere, resumed and cut again: nothing closed is lost, nothing torn is believed."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from njord.core.contracts import Bar, Message
from njord.storage.journal import JournalWriter
from njord.storage.journal_reader import read_blocks, scan
from tests.unit.storage.journal_disks import SimDisk
from tests.unit.storage.journal_samples import bar, messages, ref, segments, timer, trade

# A session's acts: append something, close a block, make it durable.
ACTS = st.lists(
    st.sampled_from(["timer", "timer", "bar", "foreign bar", "trade", "ref", "commit", "sync"]), max_size=25
)
CRASHES = st.floats(min_value=0, max_value=1)


class Model:
    """What the journal must hold, kept naively."""

    def __init__(self) -> None:
        self.all: list[Message] = []
        self.n_synced = 0

    def written(self) -> dict[int, Message]:
        """Messages by number; market data that a Ref announced is not written."""
        expected: dict[int, Message] = {}
        left = 0
        for number, message in enumerate(self.all, start=1):
            is_row = isinstance(message, Bar) or message.ts_ns < 0
            if left and is_row and getattr(message, "instrument", None) == 0:
                left -= 1
                continue
            if type(message).__name__ == "Ref":
                left += 3
            expected[number] = message
        return expected


def perform(writer: JournalWriter, model: Model, acts: list[str]) -> None:
    for act in acts:
        number = len(model.all) + 1
        if act == "commit":
            writer.commit()
        elif act == "sync":
            writer.sync()
            model.n_synced = len(model.all)
        else:
            message: Message = {
                "timer": timer(number),
                "bar": bar(number),
                "foreign bar": bar(number, instrument=1),
                "trade": trade(-number),
                "ref": ref(number, 3),
            }[act]
            writer.append(message)
            model.all.append(message)


@given(st.lists(st.tuples(ACTS, CRASHES), min_size=1, max_size=4), st.integers(200, 900))
def test_any_sequence_of_crashes_leaves_a_prefix_that_goes_on_and_verifies(
    sessions: list[tuple[list[str], float]], segment_bytes: int
) -> None:
    directory = Path(tempfile.mkdtemp())
    model = Model()
    try:
        for acts, where in sessions:
            synced = SimDisk()
            writer, _ = JournalWriter.resume(directory, synced, segment_bytes)
            assert writer.n_messages == len(model.all)
            perform(writer, model, acts)
            # The crash: the last segment ends anywhere after what was synced.
            last = segments(directory)[-1]
            kept = synced.synced.get(last, 0)
            size = last.stat().st_size
            last.write_bytes(last.read_bytes()[: kept + round(where * (size - kept))])
            state = scan(directory)
            assert model.n_synced <= state.last_seq <= len(model.all)
            del model.all[state.last_seq :]
            assert messages(directory) == model.written()
            assert b"".join(path.read_bytes() for path in segments(directory)).count(b'"seam"') == len(
                state.seams
            ) + (last.read_bytes()[state.tail_offset :].count(b'"seam"'))
        writer, _ = JournalWriter.resume(directory, SimDisk(), segment_bytes)
        writer.append(timer(1))
        writer.close()
        model.all.append(timer(1))
        assert messages(directory) == model.written()
        assert scan(directory).is_complete
        numbers = [n for block in read_blocks(directory) for n in range(block.first, block.last + 1)]
        assert numbers == list(range(1, len(model.all) + 1))
    finally:
        shutil.rmtree(directory)
