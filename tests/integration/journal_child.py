"""A real process that writes a journal, told how by its arguments; the tests kill it or take its disk away."""

import os
import resource
import sys
from pathlib import Path

from njord.core.contracts import TimerFired
from njord.core.errors import JournalHalted
from njord.storage.journal import JournalWriter


def message(number: int) -> TimerFired:
    """The `number`-th message of every session."""
    return TimerFired(ts_ns=number, strategy_id="s", instrument=0, key="k" * (number % 50), due_ns=number)


def write_on(directory: Path) -> None:
    """Resume and write for ever; say each number once it is durable."""
    writer, _ = JournalWriter.resume(directory, segment_bytes=3_000)
    os.write(1, f"{writer.n_messages}\n".encode())
    while True:
        for _ in range(3):
            writer.append(message(writer.n_messages + 1))
            writer.commit()
        writer.append(message(writer.n_messages + 1))
        writer.sync()
        os.write(1, f"{writer.n_messages}\n".encode())


def write_until_full(directory: Path, n_bytes: int) -> None:
    """Write under a limit on the size of files; say the reason of the halt and the last number that was committed."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))
    writer, committed = JournalWriter(directory), 0
    try:
        while True:
            writer.append(message(writer.n_messages + 1))
            writer.commit()
            committed = writer.n_messages
    except JournalHalted as halted:
        print(committed)
        print(halted)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_on(Path(sys.argv[2]))
    else:
        write_until_full(Path(sys.argv[2]), int(sys.argv[3]))
