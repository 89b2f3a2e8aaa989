"""`gfpup degrade`: the protocol's damage, the same bytes each time, a record that reproduces it, one set a folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from pictures import read, save

from gfpup.cli.main import main
from gfpup.ops.degrade import PROTOCOLS, Damage, apply, draw


@pytest.fixture
def references(tmp_path: Path) -> Path:
    """Three square pictures, one of them in a sub-folder and not of 512 pixels."""
    folder = tmp_path / "refs"
    (folder / "sub").mkdir(parents=True)
    face = np.ascontiguousarray(skimage.data.astronaut())
    save(folder / "a.png", face)
    save(folder / "b 2,=.png", np.ascontiguousarray(face[:, ::-1]))
    save(folder / "sub" / "c.png", np.ascontiguousarray(face[:300, 100:400]))
    return folder


def degrade(*words: object) -> int:
    return main(["degrade", *map(str, words)])


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("protocol", "seed"), [("gfpgan", 0), ("codeformer-stage2", 31)])
def test_the_set_is_the_protocols_and_the_record_reproduces_it(
    references: Path, tmp_path: Path, protocol: str, seed: int
) -> None:
    out = tmp_path / "lq"
    assert degrade("--input", references, "--recursive", "--protocol", protocol, "--seed", seed, "--output", out) == 0
    record = json.loads((out / "degradation.json").read_text())
    assert (record["protocol"], record["seed"], record["refused"]) == (protocol, seed, [])
    assert record["ranges"]["scale"] == list(PROTOCOLS[protocol].scale)
    assert [line["name"] for line in record["photos"]] == ["a.png", "b 2,=.png", "sub/c.png"]
    for line in record["photos"]:
        source = references / line["reference"]
        assert line["reference_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        drawn = {key: tuple(value) if isinstance(value, list) else value for key, value in line.items()}
        damage = Damage(**{key: drawn[key] for key in Damage.__dataclass_fields__})
        assert damage == draw(protocol, seed=seed, name=source.name)
        picture = read(out / line["name"])
        assert picture.shape == (512, 512, 3)
        if not line["name"].startswith("sub"):
            assert np.array_equal(picture, apply(read(source), damage))


def test_the_same_set_has_the_same_bytes_wherever_it_is_made(references: Path, tmp_path: Path) -> None:
    words = ("--input", references, "--recursive", "--seed", 7, "--output")
    assert degrade(*words, tmp_path / "one") == 0 == degrade(*words, tmp_path / "elsewhere" / "two")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "elsewhere" / "two")
    before = bytes_of(tmp_path / "one")
    assert degrade(*words, tmp_path / "one") == 0  # the same set again
    assert degrade(*words, tmp_path / "one", "--limit", 1) == 0  # a part of it: the rest stays in folder and record
    assert bytes_of(tmp_path / "one") == before


def test_references_are_written_at_512(references: Path, tmp_path: Path) -> None:
    out, refs = tmp_path / "lq", tmp_path / "refs512"
    assert degrade("--input", references, "--recursive", "--output", out, "--references", refs) == 0
    assert {path.name for path in refs.rglob("*.png")} == {"a.png", "b 2,=.png", "c.png"}
    assert np.array_equal(read(refs / "a.png"), read(references / "a.png"))
    assert read(refs / "sub" / "c.png").shape == (512, 512, 3)


def test_bad_references_are_named_and_the_rest_goes_on(
    references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (references / "broken.png").write_bytes((references / "a.png").read_bytes()[:1000])
    (references / "text.png").write_text("no picture")
    save(references / "oblong.png", np.zeros((640, 512, 3), np.uint8))
    assert degrade("--input", references, "--output", tmp_path / "lq", "--json") == 1
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["photos"] == 3 and [row["reference"] for row in facts["refused"]] == ["broken.png", "text.png"]
    assert "broken.png was not degraded" in captured.err and "1 reference is not square" in captured.err
    record = json.loads((tmp_path / "lq" / "degradation.json").read_text())
    assert [line["size_hw"] for line in record["photos"]] == [[512, 512], [512, 512], [640, 512]]
    assert len(record["refused"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--protocol", "gfp"), "unknown degradation protocol 'gfp'"),
        (("--seed", "-1"), "invalid value '-1' for --seed: expected a whole number of 0 or more"),
        (("--seed", "x"), "invalid value 'x' for --seed"),
        (("--limit", "0"), "invalid value '0' for --limit"),
        (("--surprise",), "unrecognized"),
        (("--references", "OUT"), "is also the output folder"),
        (("--input", "absent"), "does not exist"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    references: Path, tmp_path: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lq"
    words = tuple(str(out) if word == "OUT" else word for word in words)
    assert degrade("--input", references, "--output", out, *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not out.exists()


def test_two_sets_are_not_mixed_unless_asked(references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lq"
    assert degrade("--input", references, "--recursive", "--output", out) == 0
    before = bytes_of(out)
    for words in (("--seed", 1), ("--protocol", "mild")):
        assert degrade("--input", references, "--output", out, *words) == 2
        assert "holds another set" in capsys.readouterr().err and bytes_of(out) == before
    assert degrade("--input", references, "--output", out, "--seed", 1, "--overwrite") == 0
    assert sorted(path.name for path in out.rglob("*.png")) == ["a.png", "b 2,=.png"], "nothing of the other set may stay"


def test_somebody_elses_pictures_are_not_replaced(references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lq"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    assert degrade("--input", references, "--output", out) == 2
    assert "already exists" in capsys.readouterr().err and (out / "a.png").read_bytes() == b"mine"
    assert degrade("--input", references, "--output", references, "--overwrite") == 2
    assert "output folder too" in capsys.readouterr().err


def test_a_set_of_other_ranges_is_another_set(references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, record = tmp_path / "lq", tmp_path / "lq" / "degradation.json"
    assert degrade("--input", references, "--output", out, "--protocol", "vqfr", "--limit", 1) == 0
    before, document = record.read_bytes(), json.loads(record.read_text())
    for key in ("kernels_px", "haze", "uneven"):  # as an earlier version wrote it
        del document["ranges"][key]
    record.write_text(json.dumps(document))
    assert degrade("--input", references, "--output", out, "--protocol", "vqfr", "--limit", 1) == 0
    assert record.read_bytes() == before
    record.write_text(json.dumps({**document, "ranges": {**document["ranges"], "gray": 0.5}}))
    assert degrade("--input", references, "--output", out, "--protocol", "vqfr", "--limit", 1) == 2
    assert "the protocol's ranges have changed" in capsys.readouterr().err


def test_link_loops_and_names_that_are_not_utf8(references: Path, tmp_path: Path) -> None:
    """In a process of its own, whose stdout takes nothing but UTF-8: one sentence each, or a normal run."""
    (references / "loop.jpg").symlink_to("loop.jpg")
    (references / os.fsdecode(b"caf\xe9.png")).write_bytes((references / "a.png").read_bytes())
    out = tmp_path / os.fsdecode(b"lq\xe9")
    words = [sys.executable, "-m", "gfpup", "degrade", "--input", references, "--output"]
    for output, status in ((out, 1), (references / "loop.jpg", 2)):
        strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
        done = subprocess.run([*words, output], capture_output=True, env=strict, check=False)
        assert done.returncode == status and b"Traceback" not in done.stderr, done.stderr
        assert done.stderr.count(b"\n") == 1 and b"loop.jpg" in done.stderr
    assert {path.name for path in out.glob("*.png")} == {"a.png", "b 2,=.png", os.fsdecode(b"caf\xe9.png")}


def test_a_record_that_leads_out_of_its_folder_is_not_followed(references: Path, tmp_path: Path) -> None:
    out = tmp_path / "lq"
    out.mkdir()
    (tmp_path / "precious.png").write_bytes(b"mine")
    (out / "degradation.json").write_text(json.dumps({"photos": [{"name": "../precious.png"}]}))
    assert degrade("--input", references, "--output", out, "--overwrite") == 2
    assert (tmp_path / "precious.png").exists()


def test_help_ends_in_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert degrade("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("  gfpup ") for line in lines[-3:]) and max(map(len, lines)) <= 132
    assert all(name in "\n".join(lines) for name in PROTOCOLS)
