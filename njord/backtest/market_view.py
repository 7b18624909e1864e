"""A market seen through another: everything is the real one's, except what a subclass makes of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from njord.backtest.market import IntArray, Market, MarketBlock
from njord.backtest.reported import PricePiece, Source
from njord.core.instrument import Instrument
from njord.strategies.features import BarColumns

if TYPE_CHECKING:
    from njord.venues.tick_market import MarketRows  # Its kernel is loaded where ticks are traded.


class MarketView:
    """`market` as it is.

    Args:
        market: What is looked at; closing the view leaves it open.
    """

    def __init__(self, market: Market) -> None:
        self._market = market

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What is traded in it."""
        return self._market.instruments

    @property
    def sources(self) -> tuple[Source, ...]:
        """What it is made of."""
        return self._market.sources

    @property
    def n_events(self) -> int:
        """How many messages the real market has."""
        return self._market.n_events

    @property
    def start_ns(self) -> int:
        """When the real market begins."""
        return self._market.start_ns

    @property
    def end_ns(self) -> int:
        """When the real market ends."""
        return self._market.end_ns

    @property
    def feed_delays_ns(self) -> IntArray:
        """A sample of how long the recording's ticks were on their way: of all of it, as a run draws from all of it."""
        return self._market.feed_delays_ns

    def has_ticks(self, instrument: int) -> bool:
        """Say whether the instrument is traded on ticks."""
        return self._market.has_ticks(instrument)

    def blocks(self) -> Iterator[MarketBlock]:
        """Yield everything that the engine is told."""
        return self._market.blocks()

    def tick_rows(self, instrument: int) -> "Iterator[MarketRows] | None":
        """Return what happens at the exchange in its own time; None for bars."""
        return self._market.tick_rows(instrument)

    def columns(self, instrument: int) -> BarColumns | None:
        """Return all bars of an instrument as arrays; None for ticks."""
        return self._market.columns(instrument)

    def prices(self, instrument: int) -> Iterator[PricePiece]:
        """Yield the prices of one instrument."""
        return self._market.prices(instrument)

    def close(self) -> None:
        """Do nothing: the market goes on to be read."""
