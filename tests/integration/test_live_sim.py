"""The live path under seeds: in trouble of every kind, books end where the venue's are, and a seed is a run."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from njord.core.contracts import FillEvent
from njord.core.units import NS_PER_S
from njord.exchange.fault_plan import FAULTS, FaultPlan, FaultSpec
from njord.simulation import campaign
from njord.simulation.campaign import run_seed
from njord.simulation.words import seeds_of
from njord.simulation.world import Outcome, World, WorldTerms, simulate

SEEDS = Path(__file__).parents[1] / "seeds" / "live.txt"
RARE = ("A6", "A8", "A24")  # They need an order that is just so, and take every chance.
pytestmark = pytest.mark.integration


def stored_seeds() -> list[tuple[int, bool]]:
    """Return the seeds that once found something, and whether orders were amended in them."""
    lines = SEEDS.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [(int(seed), kind != "plain") for seed, kind, *_ in words]


def holds(outcome: Outcome) -> None:
    again = f"python -m njord.simulation.campaign --seeds {outcome.seed}"
    assert not outcome.violations, f"{again}\n" + "\n".join(outcome.violations)


@pytest.mark.parametrize("seed", [1])
def test_without_faults_all_is_well_and_there_was_something_to_be_well(seed: int) -> None:
    outcome = run_seed(seed, faults=())
    holds(outcome)
    assert outcome.n_orders > 20
    assert outcome.n_trades > 10
    assert outcome.state == "active"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_strikes_and_nothing_is_lost(fault: str) -> None:
    for_s, share = (100.0, 1.0) if fault in RARE else (40.0, 0.5)
    plan = FaultPlan((FaultSpec(fault=fault, from_s=10.0, for_s=for_s, share=share),))
    outcome = simulate(WorldTerms(seed=FAULTS.index(fault), plan=plan, duration_s=20.0 + for_s))
    holds(outcome)
    assert outcome.struck[fault]


@pytest.mark.parametrize("seed", seeds_of("4-5"))
def test_faults_together_lose_nothing(seed: int) -> None:
    holds(run_seed(seed))


@pytest.mark.parametrize(("seed", "amends"), stored_seeds())
def test_what_a_seed_once_found_stays_found(seed: int, amends: bool) -> None:
    holds(run_seed(seed, amends=amends))


def test_trades_without_a_report_are_booked_within_seconds_all_the_same() -> None:
    plan = FaultPlan((FaultSpec(fault="A10", share=1.0),))
    world = World(WorldTerms(seed=11, plan=plan, duration_s=100.0))
    world.run()
    happened = {str(row["trade_id"]): row["ts_ns"] for row in world.evidence().truth["trades"]}
    booked = [each for each in world.life.journal.messages if isinstance(each, FillEvent)]
    assert world.nemesis.struck()["A10"] > 50
    assert {fill.venue_trade_id for fill in booked} == set(happened)
    late_ns = max(fill.ts_ns - happened[fill.venue_trade_id] for fill in booked)
    assert NS_PER_S < late_ns < 12 * NS_PER_S


def test_a_seed_is_a_run_byte_for_byte() -> None:
    first = run_seed(3)
    assert run_seed(3) == first
    assert run_seed(4).journal != first.journal


def test_processes_run_the_seeds_of_a_campaign_as_this_one_does() -> None:
    alone = list(campaign.outcomes((1, 2, 3), (), 5.0, 1))
    shared = list(campaign.outcomes((1, 2, 3), (), 5.0, 2))
    assert sorted(shared, key=lambda run: run.seed) == alone


def test_a_seed_that_made_another_journal_is_told_with_the_words_that_run_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wishes = campaign.parse(("--seeds", "1,2", "--faults", "none", "--seconds", "5"))
    first, second = campaign.outcomes(wishes.seeds, wishes.faults, wishes.duration_s, 1)
    judged = campaign.run_again([first, replace(second, journal="another")], wishes)
    assert judged[0] == first
    assert judged[1].violations == ("R1: the same seed made another journal",)
    assert "seed 2 failed: python -m njord.simulation.campaign --seeds 2 --faults none --seconds 5\n" in (
        capsys.readouterr().out
    )
