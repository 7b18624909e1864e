"""Four processes over a real Redis decide what one process decides: on bars, on ticks, through crashes and forgeries."""

import gzip
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from njord.adapters.seal import SealKey, seal
from njord.apps.services_run import Announced
from njord.apps.services_words import Answer, decode_reply, encode_reply
from njord.core.codec import encode
from njord.core.contracts import OrderEvent
from njord.core.types import OrderType, Side, TimeInForce
from njord.core.units import FOREVER_NS
from tests.integration.services_world import NAMES, Services

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).resolve().parents[2]
BARS = "BTC-PERP-1m-20211231-20220201.csv.gz"
CAPTURE = "ETHUSDT-binance-spot-20240808.jsonl.gz"
N_BARS = 1_500
PACE = "18000x"  # 300 bars a second: slow enough to be met in the middle.


@pytest.fixture
def minute_bars(recordings: Path, tmp_path: Path) -> Path:
    """The first days of a recording of minute bars."""
    path = tmp_path / "BTC_PERP-1m.csv"
    with gzip.open(recordings / "bars" / BARS, "rt") as file:
        path.write_text("".join(islice(file, N_BARS + 1)))
    return path


def on_bars(path: Path) -> list[str]:
    return ["sma_cross", "--data", str(path), "--capital", "200", "--risk-profile", "paper"]


@pytest.mark.long
def test_minute_bars_through_four_services_and_their_crashes_are_the_backtests(
    minute_bars: Path, tmp_path: Path
) -> None:
    with Services(tmp_path, on_bars(minute_bars), PACE) as services:
        services.clear()
        services.start(*NAMES)
        for number, name in enumerate(("risk", "strat", "md", "paper"), 1):
            services.wait_for(_reaches(number * 250))
            services.kill(name)
            services.start(name)
        services.all_end()
        result = services.backtest()
        assert services.order_list_hash() == result["order_list_hash"]
        assert len(result["fills"]) > 50
        assert "goes on after" in services.output["paper"][-1]
        services.check_journal()
        parity = services.njord("parity", str(services.session))
        assert parity.returncode == 0, parity.stdout + parity.stderr


@pytest.mark.long
def test_a_market_maker_on_a_recorded_book_through_four_services_is_the_backtests(
    recordings: Path, tmp_path: Path
) -> None:
    terms = [
        "--account",
        "margin",
        "--capital",
        "1000000",
        "--latency-ms",
        "10",
        "--queue-model",
        "probability",
    ]
    data = ["--data", "trades/binance/ETH-USDT", "--data", "book/binance/ETH-USDT"]
    said = ["market_maker", *data, *terms, "--risk-profile", "research", "--end", "2024-08-08T23:55:00"]
    with Services(tmp_path, said) as services:
        done = services.njord("data", "import", str(recordings / "capture" / CAPTURE))
        assert done.returncode == 0, done.stderr
        services.clear()
        services.start(*NAMES)
        services.all_end()
        result = services.backtest()
        assert services.order_list_hash() == result["order_list_hash"]
        assert len(result["fills"]) > 20
        services.check_journal()


def _reaches(row: int) -> Callable[[Announced], bool]:
    return lambda announced: announced.next_row >= row


# --- the seal ---


def _has_answered(services: Services, run: str, service: str, seq: int | None = None) -> bool:
    with services.redis.client() as client:
        entries = client.xrange(f"engine.out.{run}")
    assert isinstance(entries, list)
    replies = [decode_reply(fields[b"a"]) for _, fields in entries]
    return any(
        isinstance(reply, Answer) and reply.service == service and seq in (None, reply.seq)
        for reply in replies
    )


def forged_order(number: int) -> OrderEvent:
    return OrderEvent(
        ts_ns=1,
        instrument=0,
        account_id="main",
        strategy_id="sma_cross",
        intent_id=f"sma_cross-{number}",
        client_order_id=f"NJ-FORGED-{number}",
        side=Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.GTC,
        qty_lots=1,
        decision_seq=number,
        limits_version=1,
        expires_ns=FOREVER_NS,
    )


def test_forged_orders_in_the_stream_are_refused_told_and_never_reach_the_venue(
    minute_bars: Path, tmp_path: Path
) -> None:
    with Services(tmp_path, on_bars(minute_bars)) as services:
        services.clear()
        services.start("paper", "md", "strat")
        announced = services.wait_for(lambda announced: announced.next_row > 0)
        run, waited_for = (
            announced.run,
            announced.last_seq + 2,
        )  # After the Ref the first bar; risk is not there.
        key = SealKey(bytes(32))
        order = encode(forged_order(1))
        envelope = seal(key, order, run_id=run, decision_seq=1, expires_ns=FOREVER_NS)
        answers = [
            Answer(waited_for, "risk", ((envelope,),)),
            Answer(waited_for, "risk", ((order,),)),
            Answer(waited_for, "strat", ((envelope,), ())),
        ]
        services.wait_for(lambda announced: _has_answered(services, announced.run, "strat", waited_for))
        with services.redis.client() as client:
            for answer in answers:
                client.xadd(f"engine.out.{run}", {"a": encode_reply(answer)})
            client.xadd("orders.accepted", {"f": order})
            client.xadd(f"engine.out.{run}", {"a": b"anything"})
        services.start("risk")
        services.all_end()
        with services.redis.client() as client:
            streams = client.keys(f"*.{run}")
            assert isinstance(streams, list)
            assert len(streams) == 3
            assert all(client.ttl(stream) != -1 for stream in streams)  # None stays in Redis for ever.
        assert services.order_list_hash() == services.backtest()["order_list_hash"]
        journal = services.journal()
        alerts = [line for line in journal.splitlines() if b'"kind":"Alert"' in line]
        said = [dict(msgspec.json.decode(line)["message"]["labels"])["reason"] for line in alerts]
        assert sorted(said) == ["forged", "malformed", "two_answers", "unsealed"]
        assert all(b'"severity":"critical","category":"security"' in line for line in alerts)
        assert b"NJ-FORGED" not in journal
        services.check_journal()


def test_a_key_that_others_may_read_or_that_differs_is_refused(minute_bars: Path, tmp_path: Path) -> None:
    with Services(tmp_path, on_bars(minute_bars)) as services:
        services.start("paper")
        services.wait_for(lambda announced: True)
        key = tmp_path / "var" / "state" / "seal.key"
        secret = key.read_text().strip()
        key.chmod(0o644)
        refused = services.njord("run", "risk", *services.said)
        assert (refused.returncode, "may be read by others" in refused.stderr) == (2, True)
        key.unlink()
        refused = services.njord("run", "risk", *services.said)
        assert (refused.returncode, "another seal key than the paper service" in refused.stderr) == (2, True)
        assert services.stop("paper")[0] == 0
        for path in (tmp_path / "var").rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes()
        assert secret not in "".join(services.output["paper"]) + refused.stdout + refused.stderr


# --- starting, and being refused ---


def test_services_refuse_what_the_paper_service_was_not_given(minute_bars: Path, tmp_path: Path) -> None:
    strategy = tmp_path / "mine.py"
    with Services(tmp_path, on_bars(minute_bars)) as services:
        shutil.copy(REPOSITORY / "njord" / "strategies" / "library" / "sma_cross.py", strategy)
        services.said[0] = "mine=./mine.py"
        services.start("paper")
        services.wait_for(lambda announced: True)
        other = tmp_path / "other" / minute_bars.name
        other.parent.mkdir()
        other.write_text("".join(minute_bars.read_text().splitlines(keepends=True)[:-1]))
        words = services.said
        cases = {
            "another configuration than the paper service": [*words, "--fee-bps", "11"],
            "BTC/USD:USD bars is": [*words[:2], str(other), *words[3:]],
            "has params": [*words, "--param", "fast=9"],
            "the paper service runs strategy mine, risk does not": ["sma_cross", *words[1:]],
        }
        for text, said in cases.items():
            refused = services.njord("run", "risk", *said)
            assert (refused.returncode, text in refused.stderr) == (2, True), (text, refused.stderr)
            assert len(refused.stderr.strip().splitlines()) == 1
        strategy.write_text(strategy.read_text() + "\n# changed\n")
        refused = services.njord("run", "strat", *words)
        assert (refused.returncode, "the file of strategy mine is another one" in refused.stderr) == (2, True)


def test_without_redis_or_for_live_trading_no_service_starts(minute_bars: Path, tmp_path: Path) -> None:
    with Services(tmp_path, on_bars(minute_bars)) as services:
        url = services.redis.url
        cases = {
            "the node is the product": ["--set", "app.env=live"],
            "redis.url is not set": ["--set", "redis.url="],
        }
        for name, (text, flags) in zip(NAMES, 2 * list(cases.items()), strict=True):
            refused = services.njord("run", name, *services.said, *flags)
            assert (refused.returncode, text in refused.stderr) == (2, True), refused.stderr
            assert url not in refused.stderr + refused.stdout
        services.redis.kill()
        refused = services.njord("run", "paper", *services.said)
        assert (refused.returncode, "start redis-server" in refused.stderr) == (2, True), refused.stderr


def test_a_second_paper_service_is_refused(minute_bars: Path, tmp_path: Path) -> None:
    with Services(tmp_path, on_bars(minute_bars)) as services:
        services.start("paper")
        services.wait_for(lambda announced: True)
        elsewhere = services.njord("run", "paper", *services.said, "--root", str(tmp_path / "elsewhere"))
        assert (elsewhere.returncode, "another paper service works on run" in elsewhere.stderr) == (2, True)


# --- stopping, and the words of make ---


@pytest.mark.timing
def test_a_stop_ends_every_service_within_five_seconds_even_while_another_is_missing(
    minute_bars: Path, tmp_path: Path
) -> None:
    with Services(tmp_path, on_bars(minute_bars), PACE) as services:
        services.clear()
        services.start(*NAMES)
        services.wait_for(lambda announced: announced.next_row >= 300)
        services.kill("risk")
        code, took_s = services.stop("paper")
        said = services.output["paper"][-1]
        assert (code, took_s < 5) == (0, True), said
        assert "ended    signal SIGTERM, while risk has not answered message" in said
        services.all_end()  # The others end with it.
        services.start("paper", "md", "risk")  # And it goes on.
        services.wait_for(  # A process that has only begun to start ends by the signal itself.
            lambda announced: announced.last_seq > 300 and _has_answered(services, announced.run, "risk")
        )
        assert services.stop("risk")[0] == 0
        services.start("strat", "risk")
        services.all_end()
        assert services.order_list_hash() == services.backtest()["order_list_hash"]
        services.check_journal()


@pytest.mark.long
def test_a_killed_and_a_missing_service_do_not_keep_the_switch_from_stopping_orders(
    minute_bars: Path, tmp_path: Path
) -> None:
    with Services(tmp_path, on_bars(minute_bars), PACE) as services:
        services.clear()
        services.start(*NAMES)
        services.wait_for(lambda announced: announced.next_row >= 300)
        services.kill("risk")
        tripped = services.njord("kill", "trip", "--reason", "the gate is gone")
        assert tripped.returncode == 0, tripped.stderr
        services.start("risk")
        services.all_end()
        journal = services.journal()
        trip = journal.index(b'"reason":"the gate is gone"')
        assert b'"kind":"OrderEvent"' in journal[:trip]
        assert b'"KILL_SWITCH_HALTED"' in journal[trip:]
        after = [line for line in journal[trip:].splitlines() if b'"kind":"OrderEvent"' in line]
        assert not [line for line in after if b'"reduce_only":true' not in line]
        services.check_journal()


# As docs/split-services.md says them.
BEGIN = 'njord kill clear --reason "begin"'
BOOT = ("make run-paper", "make run-md", "make run-risk", "make run-strat")


def test_every_word_of_make_boots_with_the_shipped_configuration(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    (tmp_path / "venv").symlink_to(Path(sys.prefix))
    make = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "venv/.ready"]
    with Services(tmp_path, [], PACE) as services:
        assert services.njord(*shlex.split(BEGIN)[1:]).returncode == 0
        services.start(*(word.removeprefix("make run-") for word in BOOT), command=make)
        services.wait_for(lambda announced: announced.next_row >= 300)
        for name in NAMES:
            services.stop(name)
            assert "ended" in services.output[name][-1], services.output[name]
        assert b'"kind":"FillEvent"' in services.journal()
    broker = subprocess.run([*make, "run-broker"], cwd=tmp_path, capture_output=True, text=True)
    assert "live trading is locked: environment is closed" in broker.stderr, broker.stderr
