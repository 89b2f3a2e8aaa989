"""What can be measured, against what, and the sentences for what cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from gfpup.core.errors import GfpupError
from gfpup.models import engines
from gfpup.models.backends import upstream_imports
from gfpup.tools.bench.request import Request, Workload, architecture, checked, opponent


@pytest.fixture
def no_official_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_imports, "missing", lambda: ("basicsr", "gfpgan"))


@pytest.fixture
def official_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream_imports, "missing", lambda: ())


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (Request(backends=("gfpgann",)), "did you mean 'gfpgan'"),
        (Request(backends=("precomputed",)), "computes nothing"),
        (Request(backends=("upstream",)), "--against upstream"),
        (Request(backends=("ensemble",)), "sum of its members"),
        (Request(backends=("spandrel",)), "--model-path"),
        (Request(backends=("identity",), against="plain"), "no network"),
        (Request(backends=("identity",), model_path=Path("x.pth")), "no weights"),
        (Request(backends=("gfpgan",), model_path=Path("not there.pth")), "not there.pth"),
        (Request(backends=("gfpgan", "codeformer"), model_path=Path("x.pth")), "one backend"),
        (Request(backends=("codeformer",), against="upstream"), "do not have codeformer"),
        (Request(backends=("identity",), engine="compile"), "no network: leave out --engine compile"),
        (Request(backends=("classical",), precision="bfloat16"), "no network: leave out --precision bf16"),
        (Request(backends=("identity", "codeformer"), batch=2, workload=Workload()), "for a GPU"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(request_: Request, sentence: str) -> None:
    with pytest.raises(GfpupError, match=sentence) as caught:
        checked(request_)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_official_packages")
def test_missing_official_packages_are_named_with_the_command() -> None:
    with pytest.raises(GfpupError, match="basicsr, gfpgan are not installed") as caught:
        checked(Request(against="upstream"))
    assert "pip install --no-deps" in str(caught.value)
    assert opponent("gfpgan", Request()) == "plain"


@pytest.mark.usefixtures("official_packages")
def test_the_official_package_is_taken_where_it_has_the_network() -> None:
    assert opponent("gfpgan", Request()) == "upstream"
    assert opponent("codeformer", Request()) == "plain"
    assert opponent("identity", Request()) is None
    assert opponent("gfpgan", Request(against="none")) is None
    with_background = Request(workload=Workload(background="realesrgan"))
    assert opponent("gfpgan", with_background) == "plain"
    with pytest.raises(GfpupError, match="Real-ESRGAN"):
        opponent("gfpgan", Request(against="upstream", workload=with_background.workload))


def test_an_engine_that_is_not_installed_is_refused_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def require(engine: str, *, device: str, dtype: str) -> None:
        raise GfpupError(f"engine {engine} is not installed on {device} for {dtype}")

    monkeypatch.setattr(engines, "require", require)
    with pytest.raises(GfpupError, match="engine openvino is not installed on cpu for bfloat16"):
        checked(Request(engine="openvino", precision="bfloat16", against="none"))


def test_names_are_made_canonical_and_once() -> None:
    assert checked(Request(backends=("rf", "restoreformer", "rf++"), against="none")).backends == (
        "restoreformer",
        "restoreformerpp",
    )


def test_every_network_has_its_architecture() -> None:
    assert [architecture(name) for name in ("gfpgan", "codeformer", "restoreformer", "restoreformerpp", "classical")] == [
        "gfpgan",
        "codeformer",
        "restoreformer",
        "restoreformerpp",
        None,
    ]


def test_only_our_side_has_the_engine_and_the_precision() -> None:
    request = Request(engine="compile", precision="bfloat16", workload=Workload(detect_size=320))
    ours = request.side("gfpup", "gfpgan", {"backend": Path("a.pth")})
    assert (ours.engine, ours.dtype) == ("compile", "bfloat16")
    theirs = request.side("upstream", "gfpgan", {})
    assert (theirs.engine, theirs.dtype) == ("eager", "float32")
    assert theirs.workload is not None and (theirs.workload.detect_size, theirs.workload.mask) == (0, "parsenet")
    assert ours.workload is not None and ours.workload.detect_size == 320
