"""One hash for the code that decides: njord's own sources. With it a result says which code made it."""

import hashlib
from functools import cache
from pathlib import Path

import njord


@cache
def package_hash() -> str:
    """Return the SHA-256 over the names and bytes of all of njord's Python files; what was made of them is no source.

    Of the files as they were when a process first asks: it runs what it has imported, whatever is edited meanwhile.
    """
    root = Path(njord.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if "__pycache__" in path.parts:
            continue  # Compiled strategies have their templates there.
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
