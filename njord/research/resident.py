"""What does this process hold that it does not use? Pages of shared libraries, and freed memory that the allocator keeps.

A compiler, a table library and their start-up code are read once and stay resident, by far the largest part of a sweep.
`give_back` hands those pages to the system between two stages; what is needed again comes back from the page cache, as it
came the first time. Nothing is lost: only unchanged pages of read-only mappings go.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DONTNEED = 4  # MADV_DONTNEED of Linux.
_WORTH_KIB = 1024  # A mapping with less than this is left alone.
_SMAPS = Path("/proc/self/smaps")
_ALLOCATOR = "_RJEM_MALLOC_CONF"  # Read by the table library's allocator, jemalloc, when it is loaded.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # Parameters of glibc's mallopt.
_LARGE_BYTES = 4 << 20  # A column of a year of minutes is larger; what is taken again and again is smaller.
_HEAP_BYTES = (
    32 << 20
)  # Free at the end of the heap: kept, or small arrays would come as new pages each time.


class Mapping(NamedTuple):
    """A stretch of a shared library in memory.

    Attributes:
        start: Its address.
        size: In bytes.
        resident_kib: How much of it is in memory.
    """

    start: int
    size: int
    resident_kib: int


def keep_nothing_freed() -> None:
    """Let large arrays be handed back as soon as they are freed, also those of the table library's own allocator.

    Otherwise glibc, once a large array was freed, keeps the room of all that are not larger, and a column that lives
    longer lies in the middle of it. Call it before polars is imported for the first time; what the user has set stays.
    """
    os.environ.setdefault(_ALLOCATOR, "dirty_decay_ms:0,muzzy_decay_ms:0")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # Of glibc.
        for name, parameter, size in (
            ("MALLOC_MMAP_THRESHOLD_", _MMAP_THRESHOLD, _LARGE_BYTES),
            ("MALLOC_TRIM_THRESHOLD_", _TRIM_THRESHOLD, _HEAP_BYTES),
        ):
            if name not in os.environ:
                libc.mallopt(parameter, size)


def give_back() -> None:
    """Hand unused memory back to the system; where it is not Linux, nothing happens.

    Call it where no other thread loads a library.
    """
    if sys.platform != "linux" or not _SMAPS.exists():
        return
    libc = ctypes.CDLL(None)
    for mapping in unchanged_libraries(_SMAPS.read_text()):
        libc.madvise(ctypes.c_void_p(mapping.start), ctypes.c_size_t(mapping.size), _DONTNEED)
    if hasattr(libc, "malloc_trim"):  # Of glibc.
        libc.malloc_trim(ctypes.c_size_t(0))


def unchanged_libraries(smaps: str) -> Iterator[Mapping]:
    """Yield the read-only mappings of shared libraries in which this process has changed no page.

    Args:
        smaps: As the kernel writes it, see proc(5).
    """
    start = end = resident_kib = 0
    is_library = False
    for line in smaps.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            fields = rest.split(maxsplit=4)
            is_library = "w" not in fields[0] and fields[0].endswith("p") and ".so" in Path(fields[-1]).name
            start, end = (int(address, 16) for address in name.split("-"))
        elif name == "Rss:":
            resident_kib = int(rest.split()[0])
        elif name == "Anonymous:" and is_library and rest.split()[0] == "0" and resident_kib >= _WORTH_KIB:
            yield Mapping(start, end - start, resident_kib)
