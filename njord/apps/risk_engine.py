"""The risk service: the gate in a process of its own. What it approves leaves it sealed."""

from njord.adapters.seal import SealKey
from njord.apps.services_host import Work, serve


def run_risk(work: Work, key: SealKey) -> str:
    """Answer for the stage `gate` until the run is over; return why it ended."""
    return serve(work, key)
