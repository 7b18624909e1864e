"""Which dataset is meant? What is stored, where from, of what; in and out: the folder it lies in.

The folder's name is safe on every system, so it does not always tell the symbol: the manifest inside does, and two
symbols that would share a folder are refused when the second one comes.
"""

import re

import msgspec

from njord.core.errors import DataError
from njord.storage.bars_text import one_line
from njord.storage.interval import parse_timeframe
from njord.storage.store.kinds import DataKind

SEGMENT_CHARS_MAX = 100
_SEGMENT = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{SEGMENT_CHARS_MAX - 1}}}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9._-]", re.ASCII)
_KINDS = frozenset(kind.value for kind in DataKind)
_LEVELS = {DataKind.BARS: 4}
_LEVELS_USUAL = 3


class DatasetKey(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One kind of data of one symbol at one venue; bars at one timeframe.

    Attributes:
        kind: What is stored.
        venue: The venue's id, such as binanceus.
        symbol: CCXT unified, such as BTC/USDT or BTC/USD:USD.
        timeframe: Such as 1m; only bars have one.
    """

    kind: DataKind
    venue: str
    symbol: str
    timeframe: str = ""

    def __post_init__(self) -> None:
        _check_segment(self.venue, "venue", "binanceus")
        _check_segment(_folder_name(self.symbol), "symbol", "BTC/USDT")
        if self.kind is not DataKind.BARS:
            if self.timeframe:
                raise DataError(
                    f"{self.kind.value} have no timeframe, was {one_line(self.timeframe)}", "leave it out"
                )
            return
        parse_timeframe(self.timeframe)
        _check_segment(self.timeframe, "timeframe", "1m")

    @property
    def path(self) -> str:
        """The dataset's folder, relative to the store: bars/binanceus/BTC-USDT/1m."""
        parts = (self.kind.value, self.venue, _folder_name(self.symbol), self.timeframe)
        return "/".join(part for part in parts if part)

    @staticmethod
    def parse_path(text: str) -> tuple[DataKind, str, str, str]:
        """Return kind, venue, the symbol's folder and timeframe ("" for all but bars) of a dataset's path.

        Raises:
            DataError: It is no path of a dataset, such as one that leaves the store.
        """
        segments = text.strip("/").split("/")
        if segments[0] in _KINDS:
            kind = DataKind(segments[0])
            if len(segments) == _LEVELS.get(kind, _LEVELS_USUAL) and all(map(_SEGMENT.fullmatch, segments)):
                venue, symbol, *rest = segments[1:]
                return kind, venue, symbol, "".join(rest)
        raise DataError(
            f"{one_line(text, 200)} names no dataset",
            "write it like bars/binanceus/BTC-USDT/1m or trades/binance/ETH-USDT; njord data list shows them",
        )


# Slash and colon become a hyphen, everything else that is not plain its code, such as _5e01: a folder for every symbol.
def _folder_name(symbol: str) -> str:
    return "".join(
        char if _PLAIN.match(char) else "-" if char in "/:" else f"_{ord(char):x}" for char in symbol
    )


def _check_segment(text: str, what: str, example: str) -> None:
    if not _SEGMENT.fullmatch(text):
        raise DataError(
            f"the {what} {one_line(text)!r} can not name a folder of the store",
            f"write it like {example}: letters, digits, '-', '_' and '.', {SEGMENT_CHARS_MAX} at most, no leading dot",
        )
