"""The long lists of a result, made of what the run recorded when somebody looks at them: fills and round trips."""

from collections.abc import Sequence

from njord.backtest.recorded_fills import RecordedFill
from njord.backtest.recorder import Recorder
from njord.backtest.result import ResultFill, ResultTrip
from njord.core.columns import Rows
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.performance.trip_rows import TripRows, TripText


class FillsOf(Rows[ResultFill]):
    """The fills of a run.

    Args:
        recorder: What the run left.
        instruments: All of it.
    """

    def __init__(self, recorder: Recorder, instruments: Sequence[Instrument]) -> None:
        self._fills, self._orders = recorder.fills, recorder.orders
        self._instruments = instruments

    def __len__(self) -> int:
        return len(self._fills)

    def at(self, index: int) -> ResultFill:
        """Return a fill; 0 is the first."""
        return self._of(self._fills.at(index))

    def many(self, places: Sequence[int]) -> list[ResultFill]:
        """Return the fills at some places."""
        return list(map(self._of, self._fills.many(places)))

    def _of(self, fill: RecordedFill) -> ResultFill:
        instrument = self._instruments[fill.instrument]
        return ResultFill(
            ts_ns=fill.ts_venue_ns,
            side=fill.side,
            price=plain(instrument.price(fill.price_ticks)),
            qty=plain(instrument.qty(fill.qty_lots)),
            fee=plain(fill.fee),
            fee_asset=fill.fee_asset,
            is_maker=fill.is_maker,
            symbol=instrument.symbol,
            strategy_id=self._orders.strategy_at(fill.order_no - 1),
            order_no=fill.order_no,
        )


class TripsOf(Rows[ResultTrip]):
    """The round trips of a run.

    Args:
        trips: As they were closed.
        instruments: All of the run.
    """

    def __init__(self, trips: TripRows, instruments: Sequence[Instrument]) -> None:
        self._trips = trips
        self._instruments = instruments

    def __len__(self) -> int:
        return len(self._trips)

    def at(self, index: int) -> ResultTrip:
        """Return a round trip; 0 is the first."""
        return self.many((index,))[0]

    def many(self, places: Sequence[int]) -> list[ResultTrip]:
        """Return the round trips at some places."""
        return list(map(self._of, self._trips.texts(places)))

    def _of(self, trip: TripText) -> ResultTrip:
        return ResultTrip(
            side=trip.side,
            ts_open_ns=trip.ts_open_ns,
            ts_close_ns=trip.ts_close_ns,
            qty=trip.qty,
            entry_price=trip.entry_price,
            exit_price=trip.exit_price,
            fees=trip.fees,
            pnl=trip.pnl,
            return_fraction=trip.return_fraction,
            symbol=self._instruments[trip.instrument].symbol,
            strategy_id=trip.strategy_id,
        )
