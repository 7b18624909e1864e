"""Which run do the services work on? The paper service announces it, the others compare it with what they were given.

One Redis database serves one run at a time. The announcement lives ten seconds and is renewed while the paper service
is alive. Every start of it is another epoch, with streams of its own: what was released and not journaled when it was
killed is gone, and the others begin again from its journal.
"""

from typing import Final

import msgspec

from njord.adapters.seal import SealKey
from njord.backtest.simulation import Prepared
from njord.core.contracts import RunStarted
from njord.core.errors import ConfigError

RUN_KEY: Final = "njord:engine"
ALIVE_S: Final = 10


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """The run that the paper service has opened.

    Attributes:
        epoch: Another one with every start of the paper service.
        started: The first record of its journal.
        data: Hash, first and end row of each dataset, by what it is.
        folder: Of the session; its journal holds what came before the stream.
        last_seq: How many messages the journal held when the epoch began.
        next_row: The first message of the market that the paper service does not have.
        proof: That it has the key: the others must have the same.
        ended: Why it is over; empty while it is not.
    """

    epoch: str
    started: RunStarted
    data: tuple[tuple[str, str], ...]
    folder: str
    last_seq: int
    next_row: int
    proof: str
    ended: str = ""

    @property
    def run(self) -> str:
        """The name of its streams, and what orders are sealed for."""
        return f"{self.started.run_id}.{self.epoch}"


encode_announced = msgspec.json.Encoder(decimal_format="string").encode
decode_announced = msgspec.json.Decoder(Announced).decode


def proof_of(key: SealKey, epoch: str) -> str:
    """Return what only somebody with the key can say of an epoch."""
    return key.mac(b"njord services " + epoch.encode()).hex()


def data_of(prepared: Prepared) -> tuple[tuple[str, str], ...]:
    """Return what a run reads, and the hash and the rows of it."""
    symbols = [instrument.symbol for instrument in prepared.market.instruments]
    return tuple(
        (
            f"{symbols[source.instrument]} {source.kind}",
            f"{source.hash} rows {source.first_row} to {source.end_row}",
        )
        for source in prepared.market.sources
    )


def check_same(announced: Announced, prepared: Prepared, service: str, key: SealKey | None) -> None:
    """Check that a service was given what the paper service was given.

    Raises:
        ConfigError: Code, strategy, data, configuration or key differ; the first of them is named.
    """
    ours, theirs = prepared.started, announced.started
    remedy = "give all four services the same arguments, and start them from the same folder"
    if ours.code_hash != theirs.code_hash:
        raise ConfigError(
            f"{service} runs another version of njord than the paper service", "restart the older one"
        )
    mine = {strategy.strategy_id: strategy for strategy in ours.strategies}
    for strategy in theirs.strategies:
        own = mine.pop(strategy.strategy_id, None)
        if own is None:
            raise ConfigError(
                f"the paper service runs strategy {strategy.strategy_id}, {service} does not", remedy
            )
        if own.source_hash != strategy.source_hash:
            raise ConfigError(
                f"the file of strategy {strategy.strategy_id} is another one at the paper service",
                "restart whichever has the older one",
            )
        if own != strategy:
            raise ConfigError(
                f"strategy {strategy.strategy_id} has params {own.params} on instruments {own.instruments} here, "
                f"{strategy.params} on {strategy.instruments} at the paper service",
                remedy,
            )
    for name in mine:
        raise ConfigError(f"{service} runs strategy {name}, the paper service does not", remedy)
    _check_data(dict(announced.data), dict(data_of(prepared)), service, remedy)
    if ours.config_hash != theirs.config_hash or ours.run_id != theirs.run_id:
        raise ConfigError(
            f"{service} has another configuration than the paper service ({ours.config_hash[:12]} and "
            f"{theirs.config_hash[:12]})",
            remedy,
        )
    if key is not None and proof_of(key, announced.epoch) != announced.proof:
        raise ConfigError(
            f"{service} has another seal key than the paper service",
            "give both the same NJORD_SEAL_KEY, or none and one state folder",
        )


def _check_data(theirs: dict[str, str], ours: dict[str, str], service: str, remedy: str) -> None:
    for name in [*theirs, *ours]:
        if theirs.get(name) != ours.get(name):
            raise ConfigError(
                f"{name} is {_dataset(ours.get(name))} at {service}, {_dataset(theirs.get(name))} at the paper "
                "service",
                remedy,
            )


def _dataset(said: str | None) -> str:
    if said is None:
        return "not there"
    digest, _, rows = said.partition(" ")
    return f"{digest[:12]} {rows}"
