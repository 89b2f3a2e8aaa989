"""The notebooks run from top to bottom, offline and in an empty folder, and are committed without what they put out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_is_kept_of_a_run(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    assert set(document["metadata"]) == {"kernelspec", "language_info"}
    assert document["metadata"]["language_info"] == {"name": "python"}  # no version of whoever ran it last
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in document["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], f"strip the outputs of {path.name}: {cell['id']}"
            assert cell["execution_count"] is None


def test_the_notebooks_are_there_and_each_begins_with_what_it_is() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01_tour.ipynb", "02_sweep_from_mlflow.ipynb"]
    for path in NOTEBOOKS:
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        assert first["cell_type"] == "markdown" and first["source"][0].startswith("# ")


def executed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run a notebook in an empty folder; returns what each code cell put out as text, pictures and tables by their type."""
    why = "the notebooks are run by nbclient and ipykernel, of the extra `dev`"
    nbclient = pytest.importorskip("nbclient", reason=why)
    nbformat = pytest.importorskip("nbformat", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    for name in ("CONFIG", "WEIGHTS", "CACHE"):
        monkeypatch.setenv(f"GFPUP_{name}_DIR", str(folder / name.lower()))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv("GFPUP_TRACKING", raising=False)
    (folder / "here").mkdir()
    notebook: Any = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(folder / "here")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert list((folder / "here").iterdir()) == [], "a notebook leaves nothing beside itself"
    said = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None
            for output in cell.outputs:
                assert output.output_type != "error" and output.get("name") != "stderr", output
            said[cell.id] = "\n".join(_text(output) for output in cell.outputs)
    return said


def _text(output: Any) -> str:
    return (
        str(output.text) if output.output_type == "stream" else f"<{' '.join(output.data)}> {output.data.get('text/plain', '')}"
    )


def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = executed(FOLDER / "01_tour.ipynb", tmp_path, monkeypatch)
    assert "<Restorer classical at 2x on " in said["five-lines"]
    assert "image/png" in said["before-after"] and "(512, 512) -> (1024, 1024)" in said["before-after"]
    assert "restored: True" in said["faces"] and "image/png" in said["faces"]
    assert "asked for; it finds upright frontal faces" in said["plan"]
    assert "s-lab-1.0" in said["other-plan"] and "did you mean 'codeformer'" in said["other-plan"]
    assert "same bytes: True" in said["run"] and "done failures: {}" in said["run"]
    rows = {line.split()[0]: float(line.split()[1]) for line in said["score"].splitlines() if line.startswith(("ide", "cla"))}
    assert rows["classical"] > rows["identity"], "the face comes nearer to the truth, or the notebook promises too much"
    assert "it is taken of a whole run" in said["missing"]


def test_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = executed(FOLDER / "02_sweep_from_mlflow.ipynb", tmp_path, monkeypatch)
    assert said["sweep"].count("done") == 3  # identity at two strengths is one run
    assert "with 3 runs, all {'FINISHED'}" in said["read"]
    assert "mean_faces/psnr" in said["table"] and "text/html" in said["table"]
    assert "image/png" in said["plot"] and "image/png" in said["pictures"]
    assert "degraded | identity at 0.5 | classical at 1.0 | classical at 0.5" in said["pictures"], said["pictures"]
    assert "too few for a claim" in said["compare"]
