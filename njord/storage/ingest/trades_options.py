"""What may the user say about a file of trades? The flags of an import, as one value."""

from njord.storage.bars_options import BarOptions


class TradeOptions(BarOptions, frozen=True, kw_only=True):
    """What the user says about a file of trades; what is left out is inferred and said under assumptions.

    As for bars, except that `columns` names time, venue_time, id, side, buyer_maker, price or qty, that timeframe and
    time_is_close mean nothing here, and that rows are put in order unless `repair` is off.
    """

    repair: bool = True
