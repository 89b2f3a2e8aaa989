"""GFPGAN by the public path: an official checkpoint file in, pictures out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import Run, manifest
from golden import Golden
from official import written
from pictures import read, save


@pytest.fixture(scope="module")
def checkpoint(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Golden, Path]]:
    golden = Golden.load(shared, "gfpgan")
    with written(golden, tmp_path_factory.mktemp("weights")) as path:
        yield golden, path


def test_aligned_faces_give_the_official_picture_and_the_same_bytes_in_any_order_with_any_workers(
    gfpup: Run, tmp_path: Path, checkpoint: tuple[Golden, Path]
) -> None:
    golden, path = checkpoint
    save(tmp_path / "in" / "one.png", golden.rgb8)
    save(tmp_path / "in" / "two.png", np.ascontiguousarray(golden.rgb8[:, ::-1]))
    words = ("--backend", "gfpgan", "--model-path", path, "--aligned", "-q")
    assert gfpup("run", "-i", "in/one.png", "-i", "in/two.png", *words, "-o", "a", "hardware.workers=0") == 0
    stride = golden.facts["outputs"]["output"]["stride"]
    official = np.rint(np.clip((golden.arrays["output"].astype(np.float64) + 1) / 2, 0, 1) * 255)
    mine = read(tmp_path / "a/one.png")[::stride, ::stride].transpose(2, 0, 1)
    assert np.abs(mine - official[0]).max() <= 1
    record = manifest(tmp_path / "a")
    assert len(record["checkpoints"]["backend"]["sha256"]) == 64
    assert any("unverified" in warning for warning in record["plan"]["warnings"])
    assert (
        gfpup("run", "-i", "in/two.png", "-i", "in/one.png", *words, "-o", "b", "hardware.workers=1", "--face-batch", "4") == 0
    )
    for name in ("one.png", "two.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_shared_photos_go_through_whole(gfpup: Run, tmp_path: Path, shared: Path, checkpoint: tuple[Golden, Path]) -> None:
    detector = shared / "weights/retinaface_mobilenet0.25.pth"
    photo = shared / "data/photos/two_people.jpg"
    args = ("-i", photo, "--model-path", checkpoint[1], "--detector-path", detector, "--mask", "feather", "-q", "--ext", "png")
    assert gfpup("run", *args, "-o", "out") == 0
    assert gfpup("run", *args, "-o", "half", "--strength", "0.5", "--faces", "largest") == 0
    assert gfpup("run", "-i", photo, "-o", "zero", "--backend", "identity", "--detector", "cascade", "--ext", "png", "-q") == 0
    whole, half = read(tmp_path / "out/two_people.png"), read(tmp_path / "half/two_people.png")
    plain = read(tmp_path / "zero/two_people.png")
    faces = manifest(tmp_path / "half")["photos"][0]["faces"]
    assert [face["restored"] for face in faces] == [True, False]
    assert faces[1]["reason"] == "not the largest one"
    for face, other in ((0, 1), (1, 0)):
        x0, y0, x1, y1 = (int(2 * value) for value in faces[face]["box_xyxy"])
        inside = np.s_[y0:y1, x0:x1]
        assert np.abs(whole[inside].astype(int) - plain[inside]).mean() > 5, "random weights do not return a face"
        if face == 1:
            np.testing.assert_array_equal(half[inside], plain[inside])
        assert other != face
    # The corner of the photo belongs to nobody's crop.
    np.testing.assert_array_equal(whole[-8:, -8:], plain[-8:, -8:])


def test_without_weights_and_network_it_says_what_to_do(
    gfpup: Run, tmp_path: Path, portrait: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "a.png", portrait)
    assert gfpup("run", "-i", "a.png", "-o", "out", "--no-download") == 2
    err = capsys.readouterr().err
    for part in (
        "GFPGANv1.4.pth",
        "https://github.com/TencentARC/GFPGAN",
        "e2cd4703ab14f4d01fd1383a8a8b266f",
        "weights/GFPGANv1.4.pth",
        "gfpup weights fetch gfpgan-v1.4 retinaface-resnet50 bisenet",
        "(511 MB)",
        "--backend classical needs no weights",
    ):
        assert part in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert gfpup("run", "-i", "a.png", "-o", "out", "--backend", "gfpgan", "--version", "1.5", "--no-download") == 2
    assert "1.2, 1.3, 1.4" in capsys.readouterr().err
