"""Print what the results say: a row per folder with Wilson intervals, and the mutants that no test caught."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from places import draw

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[2]
FOLDERS = ("ops", "restoration", "evaluation", "analysis", "records")


def wilson(caught: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share. Source: Wilson, "Probable inference, the law of succession" (1927)."""
    share, centre = caught / of, caught / of + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (centre - reach) / (1 + z * z / of), (centre + reach) / (1 + z * z / of)


def shown(caught: int, of: int) -> str:
    low, high = wilson(caught, of)
    return f"{caught} ({caught / of:.0%}, {low:.0%} to {high:.0%})"


def main() -> None:
    print("| folder | places | mutants | caught before | caught now |\n|---|---|---|---|---|")
    totals, places_of, shares = [0, 0, 0], {}, {}
    for folder in FOLDERS:
        rows = list(csv.DictReader((HERE / f"results-{folder}.csv").open()))
        before = sum(row["outcome"] != "survived" for row in rows)
        now = sum((row["outcome_after"] or row["outcome"]) != "survived" for row in rows)
        _, places_of[folder], _ = draw(ROOT, folder, 0, 16)
        shares[folder] = before / len(rows), now / len(rows), len(rows)
        totals = [total + more for total, more in zip(totals, (len(rows), before, now), strict=True)]
        print(f"| {folder} | {places_of[folder]} | {len(rows)} | {shown(before, len(rows))} | {shown(now, len(rows))} |")
    every = sum(places_of.values())
    print(f"| all | {every} | {totals[0]} | {shown(totals[1], totals[0])} | {shown(totals[2], totals[0])} |\n")
    for at, when in enumerate(("before", "now")):
        share = sum(places_of[folder] / every * shares[folder][at] for folder in FOLDERS)
        variance = sum((places_of[f] / every) ** 2 * (p := shares[f][at]) * (1 - p) / shares[f][2] for f in FOLDERS)
        print(f"Weighted by the places of each folder, {when}: {share:.1%} ± {1.96 * math.sqrt(variance):.1%}")
    print("\n| place | change | tests |\n|---|---|---|")
    for folder in FOLDERS:
        for row in csv.DictReader((HERE / f"results-{folder}.csv").open()):
            if (row["outcome_after"] or row["outcome"]) == "survived":
                change = row["change"].replace("|", "\\|")
                print(
                    f"| {row['file'].removeprefix('gfpup/')}:{row['line']} | `{change}` | {row['test_after'] or row['test']} |"
                )


if __name__ == "__main__":
    main()
