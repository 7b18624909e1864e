"""What is handed back to the system is read-only, a library's, and unchanged; nothing else may be."""

import numpy as np

from njord.research.resident import Mapping, give_back, unchanged_libraries


def stretch(at: str, permissions: str, path: str, resident_kib: int, anonymous_kib: int) -> str:
    return (
        f"{at} {permissions} 00000000 fe:00 260386                     {path}\n"
        f"Size:               4096 kB\nRss:                {resident_kib} kB\nPss:                   8 kB\n"
        f"Anonymous:          {anonymous_kib} kB\nVmFlags: rd mr mw me\n"
    )


def test_only_unchanged_pages_of_libraries_that_nobody_can_write_are_found() -> None:
    smaps = "".join(
        (
            stretch("10000-20000", "r-xp", "/lib/libllvmlite.so", 2000, 0),
            stretch("20000-30000", "r--p", "/lib/libc.so.6", 1024, 0),
            stretch("30000-40000", "r--p", "/lib/relocated.so", 2000, 4),
            stretch("40000-50000", "rw-p", "/lib/data.so", 2000, 0),
            stretch("50000-60000", "r--s", "/lib/shared.so", 2000, 0),
            stretch("60000-70000", "r--p", "/lib/small.so", 1023, 0),
            stretch("70000-80000", "r--p", "/data/x.so.d/bars.parquet", 2000, 0),
            stretch("80000-90000", "rw-p", "", 2000, 2000),
            stretch("90000-a0000", "rw-p", "[heap]", 2000, 2000),
        )
    )
    found = [Mapping(0x10000, 0x10000, 2000), Mapping(0x20000, 0x10000, 1024)]
    assert list(unchanged_libraries(smaps)) == found


def test_what_was_handed_back_comes_again() -> None:
    before = np.linalg.inv(np.array([[2.0, 1.0], [1.0, 3.0]]))
    give_back()
    assert (np.linalg.inv(np.array([[2.0, 1.0], [1.0, 3.0]])) == before).all()
