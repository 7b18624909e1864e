"""The strategy service: strategies and rebalancing in a process of their own. It has no key, and seals nothing."""

from njord.apps.services_host import Work, serve


def run_strategies(work: Work) -> str:
    """Answer for the stages `strategies` and `rebalancer` until the run is over; return why it ended."""
    return serve(work)
