"""Every metric has a protocol, records say it, and numbers of another protocol never take its name."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

from gfpup.analysis.published import MEASURED_AS
from gfpup.core.types import Score
from gfpup.evaluation import protocols
from gfpup.evaluation.metrics import TABLE
from gfpup.records.scores import read, write

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_metric_of_pictures_has_a_protocol() -> None:
    assert set(protocols.PROTOCOLS) == {row.name for row in TABLE.values() if row.kind != "cost"}
    assert protocols.of("psnr_to_input") is protocols.of("psnr") and protocols.of("seconds") is None
    for name, protocol in protocols.PROTOCOLS.items():
        assert all((protocol.resize, protocol.colour, protocol.crop, protocol.mean, protocol.equal_to)), name
        assert bool(TABLE[name].weights) <= bool(protocol.network), name


def test_two_metrics_never_share_a_protocol() -> None:
    for name in ("fid", "fid_fidelity", "fid_torchmetrics", "niqe", "niqe_pyiqa", "identity", "identity_bgr"):
        others = [other for other in protocols.PROTOCOLS if other != name]
        assert all(protocols.PROTOCOLS[other] != protocols.PROTOCOLS[name] for other in others)


def test_published_numbers_name_a_protocol() -> None:
    for measured in MEASURED_AS.values():
        assert set(measured.values()) <= set(protocols.PROTOCOLS)


def test_a_record_keeps_the_files_with_their_published_hashes() -> None:
    found = protocols.record("fid")
    assert found is not None and found["name"] == "fid" and "no antialiasing" in str(found["resize"])
    assert found["files"] == {
        "inception-fid": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "inception-ffhq-512": "f7b384ab...",
    }
    assert protocols.record("seconds") is None and protocols.published_hash("arcface-resnet18") is None


def test_an_old_fid_is_todays_fid_torchmetrics(tmp_path: Path) -> None:
    head = "photo,face,metric,value,higher_is_better,missing_reason"
    for columns, cells in ((head, ""), (f"{head},taken_from", ",")):
        (tmp_path / "scores.csv").write_text(f"{columns}\n,,fid,12.5,false,{cells}\na.png,,psnr,30.0,true,{cells}\n")
        assert read(tmp_path / "scores.csv") == [
            Score("fid_torchmetrics", 12.5, False),
            Score("psnr", 30.0, True, photo="a.png"),
        ]
    write(tmp_path, [Score("fid", 40.0, False), Score("ntire_2026_five_terms", 3.0, True), Score("seconds", 1.0, False)])
    assert [line.rpartition(",")[2] for line in (tmp_path / "scores.csv").read_text().splitlines()] == [
        "protocol", "fid", "ntire_2026_five_terms", "",
    ]  # fmt: skip
    assert read(tmp_path / "scores.csv")[0] == Score("fid", 40.0, False)
    summary = json.loads((tmp_path / "scores.json").read_text())
    assert list(summary["protocols"]) == ["fid"] and summary["protocols"]["fid"] == protocols.record("fid")


def test_the_tables_of_the_page_are_generated() -> None:
    spec = util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    assert text == generate.metrics_page(text), "run: python docs/generate.py"
    assert all(f"| `{name}` |" in text for name in protocols.PROTOCOLS)
