"""`gfpup track` and `gfpup ui`: finished runs go to a store, once, and the page's addresses lead to the last sweep."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import zlib
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest

from gfpup.cli import track, ui
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError
from gfpup.tracking.facts import picture_key
from gfpup.tracking.store import children, client, last_sweep, prepare_store, store_uri
from gfpup.tracking.ui_view import GRID_RUNS, VIEW_TAG, address, numbers_key, states

FIRST = 'a "<img src=x onerror=alert(1)>.png'


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, finished_sweep: Path) -> Path:
    """A folder with a copy of the finished sweep in out/."""
    root = tmp_path_factory.mktemp("sweep")
    shutil.copytree(finished_sweep, root / "out")
    return root


@pytest.fixture(scope="module")
def tracked(sweep: Path) -> Path:
    """The same, tracked in out's neighbour mlruns/."""
    assert track.run([str(sweep / "out"), "--uri", str(sweep / "mlruns"), "--max-images", "1", "--image-px", "64"]) == 0
    return sweep


def test_a_sweep_is_tracked_once(tracked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track.run([str(tracked / "out"), "--uri", str(tracked / "mlruns"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    store = client(store_uri(str(tracked / "mlruns")))
    experiment = prepare_store(store_uri(str(tracked / "mlruns")))
    assert said["experiment"] == "gfpup" and len(store.search_runs([experiment])) == 3
    parent = last_sweep(store, [experiment])
    assert parent is not None and {line["sweep"] for line in said["runs"]} == {parent.info.run_id}
    found = {run.info.run_name: run for run in children(store, parent.info.run_id)}
    assert set(found) == {"identity", "classical"}
    assert {line["run_id"] for line in said["runs"]} == {run.info.run_id for run in found.values()}
    for name, run in found.items():
        assert run.data.params["backend.name"] == name.removeprefix("backend=")
        assert run.data.metrics["count/photos"] == 3
        key = picture_key(FIRST)
        files = [Path(file.path).name for file in store.list_artifacts(run.info.run_id, "images")]
        assert len(files) == 4 and all(file.startswith(f"{key}+step+") for file in files)


def test_one_run_is_tracked_where_it_is_wanted(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = sweep / "out" / "backend=identity"
    assert track.run([str(run), "--uri", str(sweep / "mlruns"), "--experiment", "alone", "--max-images", "0"]) == 0
    folder, run_id = capsys.readouterr().out.split()
    store = client(store_uri(str(sweep / "mlruns")))
    assert folder == str(run) and store.get_run(run_id).info.run_name == "identity at 2x"
    assert store.list_artifacts(run_id, "images") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere is neither a run nor a sweep"),
        (["."], "is neither a run nor a sweep"),
        ([".", "--max-images", "-1"], "for --max-images: expected a whole number of 0 or more"),
        ([".", "--imaginary"], "gfpup track --help explains"),
    ],
)
def test_what_cannot_be_tracked_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GfpupError, match=said):
        track.run(words)
    assert not (tmp_path / "mlruns").exists()


def test_the_addresses_compare_the_last_sweep(tracked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = store_uri(str(tracked / "mlruns"))
    assert ui.run(["--uri", str(tracked / "mlruns"), "--experiment", "gfpup", "--port", "5123", "--print"]) == 0
    pictures, numbers = (line.split()[1] for line in capsys.readouterr().out.splitlines())
    store, experiment = client(uri), prepare_store(uri)
    parent = last_sweep(store, [experiment])
    assert parent is not None and pictures.startswith(f"http://127.0.0.1:5123/#/experiments/{experiment}/runs?")
    key = parse_qs(pictures.partition("?")[2])["viewStateShareKey"]
    tag = store.get_experiment(experiment).tags[VIEW_TAG + key[0]]
    view = json.loads(zlib.decompress(base64.b64decode(tag.removeprefix("deflate;"))))
    shown = [card["imageKeys"] for card in view["compareRunCharts"] if not card["deleted"]]
    assert shown == [[picture_key(FIRST)]] and parent.info.run_id in view["searchFilter"]
    found = store.search_runs([experiment], view["searchFilter"], order_by=[f"{view['orderByKey']} DESC"])
    # The page shows them from right to left.
    assert len(found) == 3 and found[-1].info.run_id == parent.info.run_id
    assert parse_qs(numbers.partition("?")[2])["viewStateShareKey"] == [numbers_key(parent.info.run_id)]
    tag = store.get_experiment(experiment).tags[VIEW_TAG + numbers_key(parent.info.run_id)]
    view = json.loads(zlib.decompress(base64.b64decode(tag.removeprefix("deflate;"))))
    jobs = children(store, parent.info.run_id)
    means = sorted({key for job in jobs for key in job.data.metrics if key.startswith(("mean_photo/", "mean_faces/"))})
    assert {"mean_faces/ssim_to_input", "mean_photo/ssim_to_input"} <= set(means)
    assert [card["metricKey"] for card in view["compareRunCharts"] if card["type"] == "BAR"] == means
    assert view["isAccordionReordered"], "the page would put its own charts first"
    # Without the stored view, as for a sweep that is still going on, the page that compares runs shows them.
    ids = [run.info.run_id for run in children(store, parent.info.run_id)]
    query = parse_qs(ui.numbers_address("http://h", experiment, ids).partition("?")[2])
    assert json.loads(query["runs"][0]) == ids and json.loads(query["experiments"][0]) == [experiment]


def test_a_view_fits_a_tag_and_has_an_address_without_it(tracked: Path) -> None:
    keys = [picture_key(f"{'long name ' * 9}{i}.png") for i in range(50)]
    views = states("a" * 32, keys, [f"mean_photo/metric{i}" for i in range(40)], jobs=3)
    assert set(views) == {"a" * 32, numbers_key("a" * 32)} and all(len(view) < 5000 for view in views.values())
    uri = store_uri(str(tracked / "mlruns"))
    sweep = last_sweep(client(uri), [prepare_store(uri)])
    plain = unquote(address("http://h", sweep, jobs=GRID_RUNS, shared=False))
    assert "tags.`gfpup.sweep` = '" in plain and "metrics.`count/jobs`" in plain and "viewStateShareKey" not in plain


def test_a_page_without_a_store_or_a_port_is_refused(
    tracked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GfpupError, match="there is no store at"):
        ui.run([])
    with pytest.raises(GfpupError, match="has no experiment 'other'"):
        ui.run(["--uri", str(tracked / "mlruns"), "--experiment", "other"])
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(GfpupError, match="give another with --port"):
        ui.run(["--uri", str(tracked / "mlruns"), "--port", str(taken.getsockname()[1])])


def test_a_page_that_does_not_start_says_why(
    tracked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [ui.sys.executable, "-c", "raise SystemExit('no such thing')"]
    monkeypatch.setattr(ui, "server_command", lambda uri, *, host, port: command)
    assert ui.run(["--uri", str(tracked / "mlruns"), "--port", "0"]) == 1
    assert "no such thing" in capsys.readouterr().err


@pytest.mark.parametrize("module", [track, ui])
def test_help_ends_in_three_commands(module: object, capsys: pytest.CaptureFixture[str]) -> None:
    name = module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    assert main([name, "--help"]) == 0
    assert all(line.startswith(f"  gfpup {name}") for line in capsys.readouterr().out.splitlines()[-3:])
