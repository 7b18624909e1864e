"""Only instruments on the list, if there is a list."""

from typing import ClassVar

from njord.core.contracts import OrderIntent
from njord.core.instrument import Instrument
from njord.core.types import RefusalReason
from njord.risk.exposure import Exposure
from njord.risk.rules.base import Bounds, Compared, Refusal, RiskRule, RuleParams, refuse


class SymbolAllowed(RiskRule):
    """Refuse an instrument that is not listed; an empty list allows all that the run trades."""

    name: ClassVar[str] = "symbol_allowed"

    class Params(RuleParams, frozen=True):
        """`symbols` are CCXT unified."""

        symbols: tuple[str, ...] = ()

    @property
    def is_off(self) -> bool:
        """Whether nothing is limited."""
        return bool(not self.params.symbols)

    def bounds(self, instrument: Instrument, scale: int) -> Bounds | None:
        """Return nothing of a symbol that is allowed, None of one that is not."""
        symbols = self.params.symbols
        return {} if not symbols or instrument.symbol in symbols else None

    def check(self, intent: OrderIntent, exposure: Exposure) -> Refusal | None:
        """Return a refusal if there is a list and the symbol is not on it."""
        symbol = exposure.instruments[intent.instrument].symbol
        if self.params.symbols and symbol not in self.params.symbols:
            return refuse(RefusalReason.SYMBOL_NOT_ALLOWED, symbol=symbol)
        return None

    def _compared(self, intent: OrderIntent, exposure: Exposure) -> Compared:
        if self.params.symbols:
            yield "symbol", exposure.instruments[intent.instrument].symbol
            yield "allowed", ", ".join(self.params.symbols)
