"""Why does a journal take no more? What the disk said comes in, the reason that everything after is refused with goes out."""

import errno

UNWRITABLE = "UNWRITABLE: messages could not be encoded, or that was cut short"
INTERRUPTED = "INTERRUPTED: a write was cut short, what follows can not be trusted"
CLOSED = "CLOSED: the journal was closed"
_OF_DISKS = {
    errno.ENOSPC: "DISK_FULL: no space left for the journal",
    errno.EDQUOT: "DISK_FULL: the disk quota is used up",
    errno.EFBIG: "DISK_FULL: the file may not grow further",
    errno.EIO: "DISK_BROKEN: the device failed a write",
}


def reason_of(error: OSError) -> str:
    """Return why a journal is halted by what the disk said."""
    return _OF_DISKS.get(error.errno or 0, f"DISK_ERROR: {error.strerror or error}")
