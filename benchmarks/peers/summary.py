"""From what contenders answered to medians, ratios, and the lines that people read."""

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.peers.contenders import Work

Figures = dict[str, Any]


def summarize(said: Figures, runs: list[Figures]) -> Figures:
    """Return a contender's figures: the median wall time of its rounds with the lowest and highest, and the rest.

    Args:
        said: What it said when it was ready; `units` is what one run works through.
        runs: Its answers, one or more.
    """
    walls = [run["wall_s"] for run in runs]
    per_unit = 1e9 / said["units"]
    middle = statistics.median(walls)
    return {
        **{key: value for key, value in said.items() if key != "units"},
        "ns_per_unit": round(middle * per_unit, 3),
        "lowest": round(min(walls) * per_unit, 3),
        "highest": round(max(walls) * per_unit, 3),
        "cpu_ns_per_unit": round(statistics.median(run["cpu_s"] for run in runs) * per_unit, 3),
        "wall_s": round(middle, 4),
        "cpu_per_wall": round(sum(run["cpu_s"] for run in runs) / sum(walls), 2),
        "peak_rss_mib": max(run["peak_rss_mib"] for run in runs),
        "n": len(runs),
        "came_to": runs[-1]["came_to"],
    }


def ratios(work: Work, found: dict[str, Figures], figure: str = "ns_per_unit") -> dict[str, dict[str, float]]:
    """Return, for each of ours, how many times as fast it is as each peer: the peer's time a unit over ours.

    Args:
        work: Who took part.
        found: Their figures.
        figure: `ns_per_unit` = wall time; `cpu_ns_per_unit` = processor time, which other work on the machine moves less.
    """
    theirs = [each.name for each in work.contenders if not each.is_ours and each.name in found]
    return {
        each.name: {peer: round(found[peer][figure] / found[each.name][figure], 3) for peer in theirs}
        for each in work.contenders
        if each.is_ours and each.name in found
    }


def disagreements(work: Work, found: dict[str, Figures]) -> list[str]:
    """Return one line for each figure in which a contender is further from the first one than is known.

    Ours must have the very same order list where they say its hash.
    """
    lines = []
    names = [each.name for each in work.contenders if each.name in found]
    hashes = {name: {**found[name], **found[name]["came_to"]}.get("order_list_hash") for name in names}
    if len({each for each in hashes.values() if each}) > 1:
        lines.append(f"the order lists differ: {', '.join(name for name in names if hashes[name])}")
    for name in names[1:]:
        for figure, tolerance in work.tolerances.items():
            first, other = found[names[0]]["came_to"][figure], found[name]["came_to"][figure]
            if not abs(other - first) <= tolerance * abs(first):
                lines.append(
                    f"{name} came to {figure} {other:,}, {names[0]} to {first:,}: more than {tolerance:.0e} apart"
                )
    return lines


def rows(work: Work, found: dict[str, Figures], missing: dict[str, str]) -> Iterator[str]:
    """Yield the table of one comparison."""
    for contender in work.contenders:
        if contender.name in missing:
            yield f"  {contender.name:<16} missing: {missing[contender.name]}"
            continue
        each = found[contender.name]
        spread = f"({each['lowest']:,.2f}-{each['highest']:,.2f})"
        came_to = ", ".join(f"{key} {each['came_to'][key]:,.6g}" for key in work.tolerances)
        yield (
            f"  {contender.name:<16} {each['ns_per_unit']:>12,.2f} ns/{work.unit} {spread:<24}"
            f" cpu {each['cpu_ns_per_unit']:,.2f}  cpu/wall {each['cpu_per_wall']:.2f}  {each['peak_rss_mib']:>6,} MiB  first {each['first_s']:.2f} s"
            f"  {came_to}  [{each['version']}]"
        )
    by_cpu = ratios(work, found, "cpu_ns_per_unit")
    for ours, by_peer in ratios(work, found).items():
        for peer, times in by_peer.items():
            yield f"  {ours} is {times:,.2f}x as fast as {peer}, {by_cpu[ours][peer]:,.2f}x by processor time"
