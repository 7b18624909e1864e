"""`njord venue`: a local exchange in the Binance.US dialect, from flags to its last line."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from njord.adapters.clock import WallClock
from njord.adapters.config_loader import load_config
from njord.apps.paced_feed import parse_speed
from njord.cli import EXIT_OK
from njord.cli.flags import FileFlags, known_instruments
from njord.cli.request import find_data
from njord.cli.venue_accounts import accounts_of
from njord.core.errors import ConfigError
from njord.core.instrument import Instrument
from njord.core.units import plain
from njord.exchange.exchange import AccountSpec, Exchange, ExchangeOptions
from njord.exchange.fault_plan import FaultPlan, read_plan
from njord.exchange.faults import Nemesis
from njord.exchange.market_open import Replay, Replayed, open_replay
from njord.exchange.rehearsal import rehearse
from njord.exchange.server import Address, serve
from njord.exchange.synthetic_market import SyntheticMarket
from njord.exchange.tls import throwaway_context

SYMBOLS = ("BTC/USDT", "ETH/USDT")
_SPEED = "60x"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed."""

    data: tuple[Path, ...] = ()
    replay: str | None = None
    loop: bool = False
    synthetic: bool = False
    symbols: tuple[str, ...] = ()
    seed: int = 1
    file: FileFlags = FileFlags()
    accounts: tuple[str, ...] = ()
    accounts_file: Path | None = None
    faults: Path | None = None
    port: int = 0
    tls: bool = False
    json_out: bool = False


def run(wanted: Wanted, root: Path) -> int:
    """Run the verb and return its exit code."""
    plan = FaultPlan() if wanted.faults is None else read_plan(wanted.faults)
    tls = throwaway_context() if wanted.tls else None
    begin_ns = WallClock().now_ns()
    with _market(wanted, root, begin_ns) as replayed:
        market = replayed.market
        specs = accounts_of(wanted.accounts, wanted.accounts_file, market.instruments)
        exchange = Exchange(market, specs, ExchangeOptions(), begin_ns)
        rehearse(begin_ns)
        exchange.advance(begin_ns)
        names, keys = tuple(spec.name for spec in specs), tuple(spec.key for spec in specs)
        served = Nemesis(exchange, plan, wanted.seed, begin_ns, names, keys)

        def tell(address: Address) -> None:
            event = _serving(address, wanted, replayed, specs, plan)
            _put(event, _lines(event, wanted), wanted.json_out)

        async def main() -> str:
            loop = asyncio.get_running_loop()
            over: asyncio.Future[str] = loop.create_future()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, _stop, over, f"signal {number.name}")
            async with serve(
                served, wanted.port, tls=tls, failed=lambda error: _fail(over, error)
            ) as address:
                tell(address)
                return await over

        reason = asyncio.run(main())
    _put({"event": "stopped", "reason": reason}, [f"stopped  {reason}"], wanted.json_out)
    return EXIT_OK


def _stop(over: "asyncio.Future[str]", reason: str) -> None:
    if not over.done():
        over.set_result(reason)


def _fail(over: "asyncio.Future[str]", error: BaseException) -> None:
    if not over.done():
        over.set_exception(error)


# --- the market ---


@contextmanager
def _market(wanted: Wanted, root: Path, begin_ns: int) -> Iterator[Replayed]:
    if wanted.synthetic and wanted.data:
        raise ConfigError("--synthetic and --data are both given", "give one of them")
    venue = load_config(root).config.exchange.venue
    instruments = known_instruments(root, venue)
    if wanted.data:
        if len(wanted.symbols) > 1:
            raise ConfigError("--data takes one --symbol, several are given", "leave them out")
        with open_replay(_replay(wanted, root), instruments, begin_ns) as replayed:
            yield replayed
        return
    if wanted.replay is not None or wanted.loop:
        raise ConfigError(
            "--replay and --loop are for --data", "for example --data capture.jsonl.gz --replay 60x"
        )
    listed = [_instrument(symbol, wanted, instruments) for symbol in wanted.symbols or SYMBOLS]
    yield Replayed(SyntheticMarket(listed, wanted.seed, begin_ns), ())


def _replay(wanted: Wanted, root: Path) -> Replay:
    speed = parse_speed(_SPEED if wanted.replay is None else wanted.replay)
    if speed is None:
        raise ConfigError(
            "--replay takes a speed, an exchange has a clock; was max", "for example --replay 60x"
        )
    store = root / load_config(root).config.paths.data
    symbol = wanted.symbols[0] if wanted.symbols else None
    file = msgspec.structs.replace(wanted.file, symbol=symbol)
    return Replay(
        data=tuple(find_data(path, store) for path in wanted.data),
        options=file.options(repair=False),
        speed=Fraction(str(speed)),
        repeats=wanted.loop,
    )


def _instrument(symbol: str, wanted: Wanted, known: dict[str, Instrument]) -> Instrument:
    if symbol in known:
        return known[symbol]
    base, slash, quote = symbol.partition("/")
    if not slash or not (base + quote).isalnum() or symbol != symbol.upper() or not base or not quote:
        raise ConfigError(f"--symbol takes BASE/QUOTE, was {symbol:.40}", "for example --symbol BTC/USDT")
    return Instrument(
        symbol=symbol,
        venue="binanceus",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_notional=Decimal(1),
    )


# --- what it says ---


def _serving(
    address: Address, wanted: Wanted, replayed: Replayed, specs: Sequence[AccountSpec], plan: FaultPlan
) -> dict[str, Any]:
    return {
        "event": "serving",
        "rest": address.rest,
        "ws": address.ws,
        "market": _market_words(wanted),
        "symbols": [instrument.symbol for instrument in replayed.market.instruments],
        "assumptions": list(replayed.assumptions),
        "accounts": [
            {
                "name": spec.name,
                "key": spec.key,
                "secret": spec.secret,
                "balances": {asset: plain(amount) for asset, amount in spec.balances.items()},
            }
            for spec in specs
        ],
        "faults": len(plan.faults),
    }


def _market_words(wanted: Wanted) -> str:
    if not wanted.data:
        return f"synthetic, seed {wanted.seed}"
    again = ", again and again" if wanted.loop else ""
    return f"{', '.join(path.name for path in wanted.data)} at {wanted.replay or _SPEED}{again}"


def _lines(event: dict[str, Any], wanted: Wanted) -> list[str]:
    rest, ws, accounts = event["rest"], event["ws"], event["accounts"]
    lines = [
        f"exchange {rest}  {ws}",
        f"market   {event['market']}: {', '.join(event['symbols'])}",
        *(f"assumed  {said}" for said in event["assumptions"]),
    ]
    for account in accounts:
        held = ", ".join(f"{amount} {asset}" for asset, amount in account["balances"].items())
        lines += [
            f"account  {account['name']}: {held or 'nothing'}",
            f"  key    {account['key']}",
            f"  secret {account['secret']}",
        ]
    lines.append("         toy keys, of no worth anywhere else")
    if event["faults"]:
        lines.append(f"faults   {event['faults']} of {wanted.faults}; GET {rest}/njord/faults counts them")
    lines += [
        f"paper    njord paper sma_cross --feed binanceus --endpoint {rest}",
        f"live     NJORD_BINANCEUS_API_KEY=KEY NJORD_BINANCEUS_API_SECRET=SECRET njord live STRATEGY --set live.endpoint={rest}",
        "ccxt     docs/local-exchange.md has the lines that point ccxt.pro.binanceus here",
        f"truth    curl {rest}/njord/truth",
        "stop     Ctrl-C",
    ]
    return lines


def _put(event: dict[str, Any], lines: list[str], json_out: bool) -> None:
    for line in [msgspec.json.encode(event).decode()] if json_out else lines:
        print(line, flush=True)
