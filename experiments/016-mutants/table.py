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


def read(folder: str) -> list[dict[str, str]]:
    with (HERE / f"results-{folder}.csv").open() as handle:
        return list(csv.DictReader(handle))


def survived(row: dict[str, str], *, again: bool) -> bool:
    return ((again and row["outcome_after"]) or row["outcome"]) == "survived"


def main() -> None:
    """Print both tables; "before" is known where survivors were run again."""
    print("| folder | places | mutants | caught before | caught now |\n|---|---|---|---|---|")
    tables = {folder: read(folder) for folder in FOLDERS if (HERE / f"results-{folder}.csv").exists()}
    places = {folder: draw(ROOT, folder, 0, 16)[1] for folder in tables}
    every, share, variance = sum(places.values()), 0.0, 0.0
    for folder, rows in tables.items():
        before, now = (sum(not survived(row, again=again) for row in rows) for again in (False, True))
        known = any(row["outcome_after"] for row in rows)
        first = shown(before, len(rows)) if known else "not measured"
        print(f"| {folder} | {places[folder]} | {len(rows)} | {first} | {shown(now, len(rows))} |")
        weight, part = places[folder] / every, now / len(rows)
        share, variance = share + weight * part, variance + weight**2 * part * (1 - part) / len(rows)
    rows = [row for table in tables.values() for row in table]
    print(f"| all | {every} | {len(rows)} | | {shown(sum(not survived(row, again=True) for row in rows), len(rows))} |\n")
    print(f"Weighted by places: {share:.0%} ± {1.96 * math.sqrt(variance):.0%} now")
    print("\n| place | change | tests |\n|---|---|---|")
    for row in rows:
        if survived(row, again=True):
            change = row["change"].replace("|", "\\|")
            print(f"| {row['file'].removeprefix('gfpup/')}:{row['line']} | `{change}` | {row['test_after'] or row['test']} |")


if __name__ == "__main__":
    main()
