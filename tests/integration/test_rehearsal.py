"""Nobody waits for the compiler at a venue that serves: its rehearsal has compiled all that orders need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.long]

COLD = """
from numba.core import event
from njord.exchange.rehearsal import rehearse
from tests.unit.exchange.exchange_case import START_NS, Case, trade

class Compiling(event.Listener):
    n = 0
    def on_start(self, event):
        Compiling.n += 1
    def on_end(self, event):
        pass

event.register("numba:compile", Compiling())
rehearse(START_NS)
rehearsed = Compiling.n
case = Case(trade(1, 100, 5), trade(2, 101, 5, buys=True))
limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1"}
case.ask("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
case.ask("POST", "order", **limit, timeInForce="GTC", price="99", newClientOrderId="rests")
case.ask("POST", "order", **limit, timeInForce="IOC", price="101")
case.ask("POST", "order", **limit, timeInForce="FOK", price="101")
stop = {**limit, "side": "SELL", "type": "STOP_LOSS_LIMIT", "stopPrice": "99"}
case.ask("POST", "order", **stop, timeInForce="GTC", price="98")
case.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="rests")
case.to(3)
print(rehearsed > 0, Compiling.n - rehearsed)
"""


def test_after_the_rehearsal_of_a_cold_installation_no_order_waits_for_the_compiler(tmp_path: Path) -> None:
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", COLD], env=environ, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0"]
