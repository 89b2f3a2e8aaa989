"""The doctor: each check with what is well, what is not, and the remedy; machines and packages are made up."""

from __future__ import annotations

import importlib.metadata
import json
import re
import socket
import sysconfig
import threading
import time
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from gfpup.core.files import sha256_of
from gfpup.machine import hardware
from gfpup.models.engines import ENGINES
from gfpup.tools.check import Check
from gfpup.tools.doctor import examine, machine, packages, supplies
from gfpup.weights import packaged
from gfpup.weights.store import Store

ROOT = Path(__file__).resolve().parents[2]
UNREACHABLE = supplies._unreachable


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No consents, no proxies, and no network but what a test gives."""
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("GFPUP_ACCEPT_LICENCES", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(supplies, "_unreachable", lambda address: "made up: no network")


def named(checks: Iterable[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Make up the versions of some packages; None takes one away."""
    real = packages.version_of
    made_up = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(packages, "version_of", lambda name: made_up[name] if name in made_up else real(name))


def test_the_needs_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = dict(re.fullmatch(r"([\w.-]+?)([<>=!].*)", line).groups() for line in project["dependencies"])  # type: ignore[union-attr]
    for name, (wanted, _) in packages.NEEDED.items():
        assert declared[name] == wanted
    low, high = (".".join(map(str, each)) for each in machine.PYTHONS)
    assert project["requires-python"] == f">={low},<{high.partition('.')[0]}.{int(high.partition('.')[2]) + 1}"


def test_here_all_packages_are_well_and_every_remedy_belongs_to_something() -> None:
    assert {check.status for check in packages.check_versions()} == {"ok"}
    assert machine.check_python().status == "ok"


def test_old_new_and_missing_packages_are_problems_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, torch="2.5.1+cu121", mlflow="3.18.0", opencv_python_headless="5.0.0", rich=None, numpy="2.0.0rc1")
    found = named(packages.check_versions())
    problems = {name for name, check in found.items() if check.status == "problem"}
    assert problems == {"torch", "mlflow", "opencv-python-headless", "rich"}
    assert found["rich"].found == "is not installed, and is needed for tables"
    assert found["torch"].remedy == 'pip install "torch>=2.6,<3"'


@pytest.mark.parametrize(
    ("found", "wanted", "held"),
    [
        ("2.6", ">=2.6,<3", True),
        ("2.6.0+cpu", ">=2.6,<3", True),
        ("2.10.1", ">=2.6,<3", True),
        ("3.0", ">=2.6,<3", False),
        ("3.0.0", "!=3", False),
        ("1.26.4", "<2", True),
        ("2.0", "<=2.0.0", True),
        ("2.0.1", "<=2", False),
    ],
)
def test_bounds(found: str, wanted: str, held: bool) -> None:
    assert packages._satisfies(found, wanted) is held


def test_the_known_traps_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, opencv_python="4.11.0", basicsr="1.4.2", gfpgan=None, facexlib=None, pyiqa="0.1.16", numpy="2.4.6")
    requires = {"numba": ["numpy<2.4,>=1.24"], "basicsr": ["numpy<2 ; extra == 'old'", "numpy"], "pyiqa": ["numpy (>=1.17)"]}
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires.get(name, []))
    found = named(packages.check_conflicts())
    assert found["two OpenCVs"].found.startswith("opencv-python and opencv-python-headless share one folder")
    assert "facexlib, gfpgan" in found["official packages"].found and "--no-deps" in found["official packages"].remedy
    assert "--accept-licence polyform-noncommercial-1.0.0" in found["pyiqa"].remedy
    assert found["numba"].found.startswith("requires numpy<2.4,>=1.24, and 2.4.6 is installed") and "basicsr" not in found
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "polyform-noncommercial-1.0.0")
    assert "pyiqa" not in named(packages.check_conflicts())
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "nonsense")
    assert "pyiqa" in named(packages.check_conflicts())


@pytest.mark.parametrize(("loads", "status"), [(True, "ok"), (False, "warning")])
def test_torchvision_is_tried_and_not_guessed(loads: bool, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from gfpup.core import torchvision_shim

    installed(monkeypatch, torchvision="0.28.0")
    spec = type("Spec", (), {"origin": "/somewhere/torchvision/__init__.py"})
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(torchvision_shim, "operators_load", lambda folder: loads and folder == Path("/somewhere/torchvision"))
    assert named(packages.check_conflicts())["torchvision"].status == status


def test_devices_and_the_tier_they_make(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = hardware.Gpu("Made up", 6 * 10**9, 5_500_000_000)
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(8, 32 * 10**9, (gpu,)))
    found = named(machine.check_devices())
    assert found["cuda:0"].found == "Made up, 5.5 of 6 GB free" and found["cuda:0"].status == "ok"
    assert found["tier"].found.startswith("mid (GPU of 4 to 8 GB)") and "RestoreFormer++ on the GPU" in found["tier"].found
    old = hardware.Gpu("Old", 6 * 10**9, 6 * 10**9, trouble="this torch was not built for it")
    limited = hardware.Machine(2, 8 * 10**9, (old,), limits=("this container may keep 2 cores busy",))
    monkeypatch.setattr(hardware, "probe", lambda: limited)
    found = named(machine.check_devices())
    assert found["cuda:0"].status == "warning" and "not built for it" in found["cuda:0"].found
    assert found["processor"].found == "2 cores, 8 GB of memory; this container may keep 2 cores busy"
    busy = hardware.Gpu("Made up", 6 * 10**9, 2 * 10**9)
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(8, 32 * 10**9, (busy,)))
    found = named(machine.check_devices())
    assert found["cuda:0"].status == "warning" and "RestoreFormer++ on the CPU" in found["tier"].found


def test_a_torch_that_does_not_load_is_a_problem_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("libcudart.so.12: cannot open shared object file\nand more")

    monkeypatch.setattr(hardware, "probe", broken)
    (check,) = machine.check_devices()
    assert check.status == "problem" and check.found == "does not load: libcudart.so.12: cannot open shared object file"


def test_a_driver_without_a_gpu_for_torch_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(8, 32 * 10**9))
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "CUDA build of torch" in named(machine.check_devices())["cuda"].remedy


def test_compile_needs_a_compiler_and_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    check = named(machine.check_engines())["compile"]
    assert "a C++ compiler (g++)" in check.found and "stays eager" in check.found and "install" in check.remedy
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/usr/bin/g++" if name == "g++" else None)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert "Python.h" in named(machine.check_engines())["compile"].found
    monkeypatch.setenv("CXX", "clang++-19")
    assert "clang++-19" in named(machine.check_engines())["compile"].found, "the compiler that torch would take"
    monkeypatch.delenv("CXX")
    (tmp_path / "Python.h").touch()
    assert named(machine.check_engines())["compile"].status == "ok"


def test_weights_are_looked_at_cheaply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    (tmp_path / "GFPGANv1.4.pth").write_bytes(b"cut short")
    (tmp_path / "GFPGANCleanv1-NoCE-C2.pth").write_bytes(b"of any size")
    monkeypatch.setattr("gfpup.core.files.sha256_of", lambda path: pytest.fail("nothing is hashed"))
    found = named(supplies.check_weights(store))
    assert found["gfpgan-v1.4"].status == "problem" and found["gfpgan-v1.4"].found == "9 of 348632874 bytes"
    assert found["gfpgan-v1.2"].found == "here, not hashed yet: its first use does that"
    assert found["bisenet"].status == "warning" and found["codeformer"].status == "ok"
    (tmp_path / "hashes.json").write_text("{damaged")
    (check,) = supplies.check_weights(store)
    assert check.status == "problem" and check.remedy == "delete the file"


def test_a_file_that_was_found_to_be_another_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "RestoreFormer++.ckpt").write_bytes(b"another")
    store.verify("restoreformerpp")
    check = named(supplies.check_weights(store))["restoreformerpp"]
    assert check.status == "warning" and "is not the published one" in check.found


def test_consents_are_told_and_a_wrong_one_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no consent" in named(supplies.check_licences())["s-lab-1.0"].found
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "s-lab-1.0")
    assert "consent given by GFPUP_ACCEPT_LICENCES" in named(supplies.check_licences())["s-lab-1.0"].found
    monkeypatch.setenv("GFPUP_ACCEPT_LICENCES", "s-lab")
    (check,) = supplies.check_licences()
    assert check.status == "problem" and "did you mean 's-lab-1.0'" in check.remedy


def test_folders_are_looked_at_and_never_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    folders = {"new": tmp_path / "a/b/c", "file": tmp_path / "file", "below": tmp_path / "file/x"}
    found = named(machine.check_folders(folders))
    assert [found[name].status for name in folders] == ["ok", "problem", "problem"]
    assert not (tmp_path / "a").exists()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"], "what tried the folder is gone again"
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert named(machine.check_folders({"new": tmp_path / "a"}))["new"].remedy.startswith(f"make {tmp_path} writable")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no /proc here")
def test_a_folder_that_takes_nothing_whatever_its_permissions_say_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda path, mode: True)  # as it is for root
    check = named(machine.check_folders({"output": Path("/proc/zz")}))["output"]
    assert check.status == "problem" and check.found.startswith("cannot write to the folder /proc/zz: ")
    assert check.remedy == "give another folder"


def test_engines_come_from_their_table(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"ours": replace(ENGINES["openvino"], packages=("ours", "theirs"), remedy="pip install 'gfpup[ours]'")}
    monkeypatch.setattr(machine, "ENGINES", {**ENGINES, **own})
    for versions, status, found in (
        ({"ours": "1.2", "theirs": "3"}, "ok", "ours 1.2, theirs 3"),
        ({"theirs": "3"}, "warning", "ours missing"),
        ({}, "ok", "not installed (optional: pip install 'gfpup[ours]')"),
    ):
        monkeypatch.setattr(machine, "version_of", versions.get)
        check = named(machine.check_engines())["ours"]
        assert (check.status, check.found) == (status, found)


def test_the_network_is_never_a_problem_but_what_it_leaves_out_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "weights")
    away = supplies.check_network(store)
    assert away.status == "warning" and "made up: no network" in away.found and "gfpup weights import" in away.remedy
    assert supplies.check_default_run(store, away).status == "problem"
    offline = supplies.check_network(store, offline=True)
    assert offline.status == "ok" and supplies.check_default_run(store, offline).status == "warning"
    mirrored = Store(tmp_path / "weights", mirrors=(str(tmp_path),))
    there = supplies.check_network(mirrored)
    assert there.status == "ok" and supplies.check_default_run(mirrored, there).status == "ok"
    monkeypatch.setattr(supplies, "_unreachable", lambda address: None)
    reached = supplies.check_network(store)
    assert reached.found.startswith("github.com answers") and supplies.check_default_run(store, reached).status == "ok"
    store.folder.mkdir()
    (store.folder / "GFPGANv1.4.pth").touch()
    assert supplies.check_default_run(store, away).status == "ok"


def test_a_silent_host_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the connection and never answers
        monkeypatch.setattr(supplies, "NETWORK_SECONDS", 0.3)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        began = time.monotonic()
        assert "timed out" in str(UNREACHABLE(address))
        assert time.monotonic() - began < 5
    assert "refused" in str(UNREACHABLE(address))


def test_a_refusal_by_the_server_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        assert UNREACHABLE(f"http://127.0.0.1:{server.getsockname()[1]}/x") is None
        thread.join()


def test_a_name_server_that_hangs_does_not_hold_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(supplies, "_unreachable", lambda address: str(held.wait(60)))
    monkeypatch.setattr(supplies, "NETWORK_SECONDS", 0.1)
    check = supplies.Reaching(Store(tmp_path), offline=False).result()
    held.set()
    assert check.status == "warning" and "no answer in 0.1 s" in check.found


def test_everything_is_examined_and_can_be_written_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "probe", lambda: hardware.Machine(2, 8 * 10**9))
    checks = list(examine(Store(tmp_path / "weights"), output=tmp_path / "out", tracking=tmp_path / "mlruns"))
    groups = {check.group for check in checks}
    assert groups >= {"machine", "versions", "engines", "weights", "licences", "folders", "network", "default run"}
    assert all(check.remedy for check in checks if check.status != "ok")
    assert len({(check.group, check.name) for check in checks}) == len(checks)
    json.dumps([vars(check) for check in checks])
    assert list(tmp_path.iterdir()) == []  # nothing was written


def test_mtcnn_is_named_with_its_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packaged, "mtcnn_folder", lambda: None)
    absent = supplies.check_mtcnn()
    assert absent.status == "ok" and "pip install --no-deps facenet-pytorch" in absent.found
    monkeypatch.setattr(packaged, "mtcnn_folder", lambda: tmp_path)
    for name in packaged.MTCNN_SHA256:
        (tmp_path / f"{name}.pt").write_bytes(b"damaged")
    damaged = supplies.check_mtcnn()
    assert damaged.status == "warning" and "pnet.pt is damaged" in damaged.found and "--force-reinstall" in damaged.remedy
    for name in packaged.MTCNN_SHA256:
        monkeypatch.setitem(packaged.MTCNN_SHA256, name, sha256_of(tmp_path / f"{name}.pt"))
    assert supplies.check_mtcnn().found.startswith("here, verified")
