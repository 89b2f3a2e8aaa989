"""Numbers on the pages that come from tables of the code: what is published, claimed, counted, planned."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import yaml

from gfpup.models import backends
from gfpup.models.engines import ENGINES
from gfpup.planning import memory_model
from gfpup.planning.tiers import GB, TIERS

ROOT = Path(__file__).resolve().parents[1]
CHOOSE = (ROOT / "docs" / "choose-backend.md").read_text(encoding="utf-8")
HARDWARE = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
PUBLISHED = list(csv.DictReader((ROOT / "gfpup" / "analysis" / "published_results.csv").open(encoding="utf-8")))


def row(page: str, first: str, heading: str) -> list[str]:
    """The cells of the row that begins with `first`, in the first table below `heading`."""
    below = page[page.index(f"# {heading}\n") :]
    for line in below.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] == first:
            return cells
    raise AssertionError(f"no row {first!r} under {heading!r}")


def published(protocol: str, method: str, metric: str) -> list[float]:
    return [
        float(line["value"])
        for line in PUBLISHED
        if line["protocol"] == protocol and method in line["method"] and line["metric"] == metric
    ]


@pytest.mark.parametrize(
    ("name", "method"), [("GFPGAN 1.4", "GFPGAN"), ("CodeFormer", "CodeFormer"), ("RestoreFormer++", "RestoreFormer++")]
)
def test_the_matrix_quotes_what_was_published(name: str, method: str) -> None:
    _, _, quality, identity, _, _ = row(CHOOSE, name, "Backend comparison matrix")
    lpips, fid = (float(number) for number in re.findall(r"(?:LPIPS|FID) ([\d.]+)", quality))
    assert [lpips] == published("pmrf-celeba-test", method, "LPIPS")
    assert [fid] == published("pmrf-celeba-test", method, "FID")
    assert [float(identity.split("**")[1].rstrip("°"))] == published("pmrf-celeba-test", method, "Deg")


def test_the_published_ranges_are_those_of_the_table() -> None:
    for protocol, metric in (
        ("pmrf-celeba-test", "LPIPS"),
        ("osdface-daefr-celeba-test", "LPIPS"),
        ("osdface-daefr-celeba-test", "DISTS"),
    ):
        values = published(protocol, "", metric)
        assert f"{min(values)} to {max(values)}" in CHOOSE, (protocol, metric)


def test_the_counted_operations_are_the_codes() -> None:
    counted = [backends.TABLE[name].gflop for name in ("gfpgan", "codeformer", "restoreformerpp")]
    first, second, third = (f"{number:.0f}" for number in counted if number)
    assert re.search(rf"`gfpup backends`: {first}, {second}\s+and {third} GFLOP", CHOOSE)
    assert re.search(rf"the ratios are 1, {float(second) / float(first):.1f} and {float(third) / float(first):.1f}", CHOOSE)


@pytest.mark.parametrize("name", ["CodeFormer", "GFPGAN 1.4", "GFPGAN 1.3", "RestoreFormer++"])
def test_the_guides_seconds_are_quoted_as_it_gave_them(name: str) -> None:
    _, gpu, processor, *_ = row(CHOOSE, name, "Seconds a photo")
    method = name.replace("GFPGAN ", "GFPGAN v")
    claimed = published("seed-benchmarks", method, "seconds per image")
    assert [float(gpu.split()[0]), float(processor.split()[0])] == claimed


def test_the_guides_memory_is_what_the_advisor_knows() -> None:
    advice = yaml.safe_load((ROOT / "conf" / "recommend.yaml").read_text(encoding="utf-8"))["methods"]
    for name, key in (("CodeFormer", "codeformer"), ("GFPGAN 1.4, 1.3", "gfpgan-1.4"), ("RestoreFormer++", "restoreformerpp")):
        _, gpu, ram, *_, predicted = row(CHOOSE, name, "Memory")
        assert (float(gpu.split()[0]), float(ram.split()[0])) == (advice[key]["gpu_gb"], advice[key]["ram_gb"])
        network = memory_model.METHODS[advice[key]["backend"]]
        assert float(predicted.split()[0]) == round((network.weights["float32"] + network.each["float32"]) / GB, 1)


@pytest.mark.parametrize("name", TIERS)
def test_the_tiers_are_described_as_they_are(name: str) -> None:
    _, what, faces, tile, background, _ = row(HARDWARE, f"`{name}`", "Tiers")
    tier = TIERS[name]
    assert (int(faces), int(tile.split()[0]), background == "Real-ESRGAN") == (tier.face_batch, tier.tile_px, tier.background)
    if tier.least_bytes:
        assert f"{tier.least_bytes // GB}" in what
    elif tier.ceiling_bytes:
        assert f"under {tier.ceiling_bytes // GB} GB" in what


def test_every_engine_is_described() -> None:
    table = HARDWARE[HARDWARE.index("# Engines\n") :]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(ENGINES)
    for name, engine in ENGINES.items():
        if name != "eager":
            line = next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))
            stated = re.match(r"within \d+ levels? of 255", engine.float32)
            assert stated is not None and stated[0] in line, name


@pytest.mark.parametrize("name", ["GFPGAN", "CodeFormer", "RestoreFormer", "RestoreFormer++"])
def test_the_measured_memory_is_what_plans_add_up(name: str) -> None:
    """Plans take the highest measurement of each row, and the page the table of the study: they are a few megabytes apart."""
    network = memory_model.METHODS[name.lower().replace("++", "pp")]
    cells = [float(cell) for cell in row(HARDWARE, name, "Memory")[1:]]
    planned = [network.weights["float32"], network.each["float32"], network.weights["bfloat16"], network.each["bfloat16"]]
    assert cells == pytest.approx([number / memory_model.MB for number in planned], abs=8)


def test_the_priorities_of_the_flow_are_those_of_the_picture() -> None:
    advice = yaml.safe_load((ROOT / "conf" / "recommend.yaml").read_text(encoding="utf-8"))
    picture = (ROOT / "docs" / "images" / "choose.svg").read_text(encoding="utf-8")
    shown = re.findall(r'<text x="\d+" y="\d+">(RestoreFormer\+\+|CodeFormer|GFPGAN 1\.\d)</text>', picture)
    assert shown == [advice["methods"][priority["take"][0]]["title"] for priority in advice["priorities"].values()]
    for priority in list(advice["priorities"].values())[:-1]:
        assert priority["ask"] in picture


def test_the_measured_speeds_are_those_of_the_study() -> None:
    study = (ROOT / "experiments" / "007-bench" / "README.md").read_text(encoding="utf-8")
    rows = {name: row(study, name, "The forward alone, one thread") for name in ("gfpgan", "codeformer", "restoreformerpp")}
    first = float(rows["gfpgan"][3])
    assert f"GFPGAN's ({rows['gfpgan'][3]} s)" in CHOOSE
    for title, name in (("GFPGAN 1.4", "gfpgan"), ("CodeFormer", "codeformer"), ("RestoreFormer++", "restoreformerpp")):
        _, speed, _, _, memory_cell, _ = row(CHOOSE, title, "Backend comparison matrix")
        assert float(speed.split("**")[1]) == pytest.approx(float(rows[name][3]) / first, abs=0.06), name
        assert float(memory_cell.split("**")[1].split()[0]) == round(float(rows[name][5]) / 1000, 1), name


def test_the_speed_against_the_official_package_is_the_studys_in_cpu_seconds() -> None:
    study = (ROOT / "experiments" / "007-bench" / "README.md").read_text(encoding="utf-8")
    below = study[study.index("## Against the official packages") : study.index("## Faces and pixels")]
    ratios = re.findall(r"[\d.]+x +\| ([\d.]+)x", below)  # the wall's is left of it
    assert len(ratios) == 3
    faq = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    for ratio in ratios:
        assert ratio in faq and ratio in HARDWARE, ratio


def test_the_guides_memory_stands_beside_ours_in_the_study() -> None:
    study = (ROOT / "experiments" / "007-bench" / "README.md").read_text(encoding="utf-8")
    names = {"codeformer": "CodeFormer", "gfpgan, 1.3, 1.4": "GFPGAN 1.4, 1.3", "restoreformerpp": "RestoreFormer++"}
    for name, title in names.items():
        assert row(study, name, "The guide's memory")[1:3] == row(CHOOSE, title, "Memory")[1:3]


def test_parameters_and_operations_are_the_tables() -> None:
    section = CHOOSE.partition("### Parameters and operations")[2].partition("\n## ")[0]
    stated = {name: (float(m), float(g)) for name, m, g in re.findall(r"\| `?([\w` ]+?)`? \| ([\d.]+) \| ([\d.]+) \|", section)}
    counted = {
        name if not facts.costs else f"{name}` {facts.default_version}": (facts.millions, facts.gflop)
        for name, facts in backends.TABLE.items()
        if facts.network is not None
    }
    counted |= {f"{name}` {v}": cost for name, facts in backends.TABLE.items() for v, cost in facts.costs.items()}
    assert stated == counted
