"""How long does a request take to the venue, and its word back? Constant, or drawn from recorded delays.

A draw depends on the seed, the order's place among all orders and what is sent, and on nothing else: the same run draws
the same, in whatever process and under whatever ids, and a recovered venue draws again what it drew before.
"""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from njord.venues.terms import VenueTerms


class Latency:
    """Delays of one venue, in nanoseconds.

    Args:
        terms: The constant parts, the samples and the seed.
    """

    __slots__ = ("_constant", "_places", "_samples", "_seed", "is_zero")

    def __init__(self, terms: VenueTerms) -> None:
        self._constant = {"entry": terms.entry_latency_ns, "response": terms.response_latency_ns}
        samples = terms.latency_samples
        self._samples: Mapping[str, NDArray[np.int64]] = (
            {} if samples is None else {"entry": samples[0], "response": samples[1]}
        )
        self._seed = terms.seed
        self._places: dict[str, int] = {}  # Of orders, in the order in which they came.
        self.is_zero = not (terms.entry_latency_ns or terms.response_latency_ns or self._samples)

    def entry_ns(self, client_order_id: str, number: int) -> int:
        """Return what the `number`-th request about an order takes to the venue."""
        return self._delay("entry", client_order_id, number)

    def response_ns(self, client_order_id: str, number: int) -> int:
        """Return what the `number`-th word on an order takes back."""
        return self._delay("response", client_order_id, number)

    def _delay(self, way: str, client_order_id: str, number: int) -> int:
        delay = self._constant[way]
        if not self._samples:
            return delay
        samples = self._samples[way]
        place = self._places.setdefault(client_order_id, len(self._places))
        digest = sha256(f"{self._seed}|{way}|{place}|{number}".encode()).digest()
        return delay + int(samples[int.from_bytes(digest[:8], "big") % len(samples)])
