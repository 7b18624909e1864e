"""How does the venue write numbers? Ticks, lots and their products in; decimal texts of at least eight places out."""

from decimal import Decimal

from njord.core.instrument import Instrument
from njord.core.units import NS_PER_MS, exponent, quantum, round_half_even

PLACES = 8
_QUANTUM = quantum(PLACES)


def steps_text(steps: int, scale: int, multiple: int) -> str:
    """Return `steps` of multiple x 10**-scale, with eight places or, if it must be, more."""
    amount, places = steps * multiple, max(scale, PLACES)
    amount *= 10 ** (places - scale)
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    return f"{sign}{amount // 10**places}.{amount % 10**places:0{places}d}"


def ratio_text(numerator: Decimal, denominator: Decimal, places: Decimal = _QUANTUM) -> str:
    """Return a quotient, rounded half to even; 0 where the denominator is 0."""
    value = numerator / denominator if denominator else Decimal(0)
    return f"{round_half_even(value, places):f}"


def decimal_text(value: Decimal) -> str:
    """Return an exact decimal with at least eight places."""
    return f"{value:.{max(PLACES, exponent(value))}f}"


def to_ms(ts_ns: int) -> int:
    """Return whole milliseconds, rounded down."""
    return ts_ns // NS_PER_MS


class Texts:
    """The numbers of one instrument as texts.

    Attributes:
        symbol: As the wire has it, such as BTCUSDT.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.symbol = instrument.base + instrument.quote
        self._instrument = instrument
        self._tick = (instrument.tick_scale, instrument.tick_multiple)
        self._lot = (instrument.lot_scale, instrument.lot_multiple)
        self._unit = (instrument.unit_scale, instrument.unit_multiple)

    def price(self, ticks: int) -> str:
        """Return a price."""
        return steps_text(ticks, *self._tick)

    def qty(self, lots: int) -> str:
        """Return a quantity."""
        return steps_text(lots, *self._lot)

    def quote(self, units: int) -> str:
        """Return a value given in ticks x lots; beyond eight places it is rounded half to even, as volumes are."""
        value = self._instrument.notional(units, 1)
        return f"{round_half_even(value, _QUANTUM):f}"

    def average(self, units: int, lots: int) -> str:
        """Return units / lots as a price; 0 without lots."""
        return ratio_text(self._instrument.notional(units, 1), self._instrument.qty(lots))

    def percent(self, ticks: int, of_ticks: int) -> str:
        """Return ticks / of_ticks in percent, three places."""
        return ratio_text(Decimal(100 * ticks), Decimal(of_ticks), Decimal("0.001"))

    def levels(self, levels: tuple[tuple[int, int], ...]) -> list[list[str]]:
        """Return levels of a book."""
        return [[self.price(ticks), self.qty(lots)] for ticks, lots in levels]
