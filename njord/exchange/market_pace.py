"""When does the exchange let happen what was recorded at a time? Recorded times in, times of the exchange's clock out."""

from fractions import Fraction

import msgspec

from njord.core.errors import ConfigError


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording runs on the exchange's clock; all its symbols share one.

    Attributes:
        begin_ns: When it begins, by the exchange's clock.
        first_ns: When it began, by its own.
        last_ns: When it ended, by its own; of meaning where it is repeated.
        speed: How many of its seconds pass in one of the exchange's.
        repeats: Whether it begins again after its end.

    Raises:
        ConfigError: The speed is not above 0.
    """

    begin_ns: int
    first_ns: int
    last_ns: int
    speed: Fraction = Fraction(1)
    repeats: bool = False

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise ConfigError(f"the speed of a replay must be > 0, was {self.speed}", "for example 60x")

    def at(self, recorded_ns: int, n_before: int = 0) -> int:
        """Return when something happens that was recorded at a time; what lies before the beginning happens there.

        Args:
            recorded_ns: By the recording's clock.
            n_before: Times that the whole recording has run already.
        """
        since_ns = max(recorded_ns - self.first_ns, 0) + n_before * (self.last_ns - self.first_ns + 1)
        return self.begin_ns + since_ns * self.speed.denominator // self.speed.numerator
