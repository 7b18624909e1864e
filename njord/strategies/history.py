"""Which bars came last, where a run reads them in blocks? Blocks in, as they are read; the bars that are asked for out.

Nothing is copied as bars pass: a block knows its bars, and is kept for as long as somebody may look back into it.
"""

from collections import deque
from collections.abc import Sequence

from njord.core.contracts import Bar


class BlockHistory:
    """The bars of one instrument, block by block.

    Args:
        reach: How many bars back anybody may look.
    """

    __slots__ = ("_blocks", "_reach")

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._blocks: deque[tuple[int, Sequence[Bar]]] = deque()  # With the number of bars before each.

    def begin(self, n_before: int, bars: Sequence[Bar]) -> None:
        """Go on with a block; `n_before` bars came before it."""
        blocks = self._blocks
        while blocks and blocks[0][0] + len(blocks[0][1]) <= n_before - self._reach:
            blocks.popleft()
        blocks.append((n_before, bars))

    def last(self, n: int, n_bars: int) -> list[Bar]:
        """Return the last `n` of the first `n_bars` bars, oldest first; fewer at the start."""
        found: list[Bar] = []
        for n_before, bars in self._blocks:
            first, end = max(0, n_bars - n - n_before), min(len(bars), n_bars - n_before)
            found.extend(bars[at] for at in range(first, end))
        return found
