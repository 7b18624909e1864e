"""Output that nobody waits for: in order, bounded, and gone when its reader is."""

import io
import os
import threading

from njord.cli.outlet import TEXTS_MAX, Outlet


def dropped(n: int) -> str:
    return f"[{n} dropped]\n"


def test_everything_is_written_in_order_and_whole() -> None:
    stream = io.StringIO()
    outlet = Outlet(stream, dropped)
    for number in range(2_000):
        outlet.write(f"{number}\n")
    assert outlet.end(within_s=5.0)
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(2_000))
    outlet.write("too late")
    assert "late" not in stream.getvalue()


def test_a_reader_who_stops_costs_texts_and_never_time() -> None:
    reading, writing = os.pipe()  # Nobody reads: its buffer fills up.
    with os.fdopen(writing, "w") as stream:
        outlet = Outlet(stream, dropped)
        for _ in range(TEXTS_MAX + 2_000):
            outlet.write("x" * 99 + "\n")
        assert not outlet.is_idle
        assert not outlet.end(within_s=0.0)  # Still hanging, and we are not.
        told: list[bytes] = []
        with os.fdopen(reading, "rb", buffering=0) as reader:
            while not told or not told[-1].rstrip().endswith(b"dropped]"):
                told.append(reader.read(1 << 20))
        assert outlet.end(within_s=5.0)
    text = b"".join(told).decode()
    lines = text.splitlines()
    n_dropped = int(lines[-1][1:].split()[0])
    assert n_dropped > 0
    assert len(lines) - 1 + n_dropped == TEXTS_MAX + 2_000
    assert set(lines[:-1]) == {"x" * 99}


def test_a_reader_who_has_gone_is_told_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    gone = threading.Semaphore(0)
    with os.fdopen(writing, "w") as stream:
        outlet = Outlet(stream, dropped, gone.release)
        outlet.write("is anybody there?")
        assert gone.acquire(timeout=40.0)
        outlet.write("no")
        assert outlet.end(within_s=5.0)
    assert not gone.acquire(blocking=False)
    assert outlet.is_idle
