"""Published numbers ship with the package, each with protocol and source, and stand beside their own protocol only."""

from __future__ import annotations

import csv
from pathlib import Path

from gfpup.analysis.compare import compare
from gfpup.analysis.published import CELEBA_TEST, MEASURED_AS, beside, protocol_of, rows
from gfpup.analysis.render import FORMATS
from gfpup.core.types import Score
from gfpup.evaluation.metrics import TABLE
from gfpup.records.run_record import RunRecord


def test_every_row_of_the_reference_ships(shared: Path) -> None:
    with (shared / "reference" / "published_results.csv").open(encoding="utf-8") as file:
        reference = list(csv.DictReader(file))
    assert [(r.protocol, r.dataset, r.method, r.metric, r.value) for r in rows() if r.method != "PMRF"] == [
        (r["protocol"], r["dataset"], r["method"], r["metric"], float(r["value"])) for r in reference
    ]


def test_pmrf_s_own_row_of_its_table_ships() -> None:
    """The reference has the other methods of that table alone."""
    found = {row.metric: row.value for row in rows() if row.method == "PMRF" and row.protocol == "pmrf-celeba-test"}
    other = {row.metric for row in rows() if row.method == "RestoreFormer++" and row.protocol == "pmrf-celeba-test"}
    assert set(found) == other and found["FID"] == 37.46 and found["Deg"] == 30.67


def test_every_number_names_its_source() -> None:
    assert len(rows()) > 50
    for row in rows():
        assert row.source and row.source != "same" and row.protocol and row.dataset
    sources = {row.protocol: row.source for row in rows()}
    assert "PMRF" in sources["pmrf-celeba-test"] and "OSDFace" in sources["osdface-real"]


def test_numbers_stand_beside_their_own_protocol_only() -> None:
    everything = list(TABLE)
    assert beside(None, everything) == () and beside("my-own", everything) == () and beside("osdface-real", everything) == ()
    found = beside("pmrf-celeba-test", ["lpips_vgg", "deg"])
    assert {name for name, _ in found} == {"lpips_vgg", "deg"} and len(found) == 10
    # LPIPS on AlexNet is another scale, and the published FID has another reference set.
    assert beside("pmrf-celeba-test", ["lpips", "fid"]) == ()


def test_what_is_measured_as_published_exists() -> None:
    for protocol, same in MEASURED_AS.items():
        known = {row.metric for row in rows() if row.protocol == protocol}
        assert set(same) <= known and set(same.values()) <= set(TABLE)


def test_a_test_set_stands_for_its_protocol() -> None:
    assert protocol_of("celeba-test") == protocol_of("pmrf-celeba-test") == CELEBA_TEST
    assert protocol_of("mine") == "mine" and protocol_of("osdface-real") == "osdface-real"


def test_every_form_of_the_table_has_the_published_rows_with_their_source() -> None:
    scores = {
        name: tuple(Score("psnr", v + i, True, photo=f"{i}.png") for i in range(12)) for name, v in (("a", 20), ("b", 21))
    }
    comparison = compare([RunRecord(Path(name), {}, found, name) for name, found in scores.items()])
    for form, write in FORMATS.items():
        text = write(comparison, protocol=CELEBA_TEST)
        assert "25.31" in text and "PMRF (ICLR 2025)" in text and "25.31" not in write(comparison), form
    assert "psnr,photo,,RestoreFormer++,,25.31" in FORMATS["csv"](comparison, protocol=CELEBA_TEST)
