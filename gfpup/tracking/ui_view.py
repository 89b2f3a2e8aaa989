"""The views of a sweep in MLflow's page: a grid of pictures, a column a run and a row a photo, and the means as charts.

Left to itself the page folds a sweep's runs into one line, prints every parameter over each picture, and charts the last photo
of each series. A shared view, which is a tag of the experiment, opens as it should; a version of MLflow that does not know it
gets the plain address.

Source: what MLflow 3.17's page stores when somebody shares a view, and reads back.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

SWEEP: Final = "gfpup.sweep"
"""The tag with the parent's run id that a sweep's runs carry, the parent too."""
VIEW_TAG: Final = "mlflow.sharedViewState."
GRID_RUNS: Final = 10
"""MLflow's grid shows the first ten runs of the list, the last of them leftmost."""
SECTION: Final = "before and after"
NUMBERS: Final = "means over the photos"
_SECTION_ID: Final = "gfpup-pictures"
_CARD_PX: Final = 640


def states(run_id: str, keys: Sequence[str], metrics: Sequence[str], *, jobs: int) -> dict[str, str]:
    """The views of the sweep `run_id` by their keys: its pictures, which have these `keys`, and its `metrics` as numbers."""
    # The deleted cards keep the page from adding one for each photo.
    pictures = [_card("gfpup-grid", keys), *(_card(f"gfpup-{i}", [key], deleted=True) for i, key in enumerate(keys))]
    bars = [_facts(f"gfpup-bar-{i}", "BAR") | {"metricKey": key} for i, key in enumerate(metrics)]
    axes = {"selectedMetrics": list(metrics), "selectedParams": [], "showAllRuns": True}
    numbers = bars if len(metrics) < 2 else [_facts("gfpup-axes", "PARALLEL") | axes, *bars]
    columns = [f"metrics.`{key}`" for key in metrics]
    return {
        run_id: _state(run_id, pictures, columns, jobs=jobs, layout={"columns": 1, "cardHeight": _CARD_PX}),
        numbers_key(run_id): _state(run_id, numbers, columns, jobs=jobs, layout={"name": NUMBERS}),
    }


def numbers_key(run_id: str) -> str:
    """The key of the view of a sweep's numbers."""
    return f"{run_id}-numbers"


def _state(run_id: str, cards: Sequence[Any], columns: Sequence[str], *, jobs: int, layout: dict[str, Any]) -> str:
    section = {"uuid": _SECTION_ID, "name": SECTION, "display": True, "isReordered": False, "deleted": False}
    view = {
        "searchFilter": _filter(run_id),
        **dict(zip(("orderByKey", "orderByAsc"), _order(jobs), strict=True)),
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "FIRST_20_RUNS",
        "selectedColumns": list(columns),
        "compareRunCharts": list(cards),
        "compareRunSections": [section | {"isGenerated": False} | layout],
        "isAccordionReordered": True,  # else the page sorts the sections by name, its own charts of counts before the means
        "hideEmptyCharts": True,
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(view).encode())).decode()


def address(base: str, sweep: Any, *, jobs: int, shared: bool) -> str:
    """Where the page at `base` shows the pictures of the run `sweep`; `shared` says whether its view was stored."""
    if shared:
        return shared_address(base, sweep, sweep.info.run_id)
    key, ascending = _order(jobs)
    order = f"orderByKey={quote(key, safe='')}&orderByAsc={json.dumps(ascending)}"
    page = f"{base}/#/experiments/{sweep.info.experiment_id}/runs?compareRunsMode=CHART"
    return f"{page}&{order}&searchFilter={quote(_filter(sweep.info.run_id), safe='')}"


def shared_address(base: str, sweep: Any, key: str) -> str:
    """Where the page at `base` shows the stored view `key` of the run `sweep`."""
    return f"{base}/#/experiments/{sweep.info.experiment_id}/runs?compareRunsMode=CHART&viewStateShareKey={key}"


def _order(jobs: int) -> tuple[str, bool]:
    """An order other than by time, in which runs are not folded; those without the metric come last.

    The sweep's own run, which has the photos as given, is to stand left of the others, or among the ten at all.
    """
    return ("metrics.`count/photos`" if jobs < GRID_RUNS else "metrics.`count/jobs`"), False


def _filter(run_id: str) -> str:
    return f"tags.`{SWEEP}` = '{run_id}'"


def _card(uuid: str, keys: Sequence[str], *, deleted: bool = False) -> dict[str, Any]:
    card = _facts(uuid, "IMAGE") | {"deleted": deleted, "isGenerated": deleted}
    return card | {"imageKeys": list(keys), "step": 0, "showRunParams": False}


def _facts(uuid: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "uuid": uuid, "deleted": False, "isGenerated": False, "metricSectionId": _SECTION_ID}
