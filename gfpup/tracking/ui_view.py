"""The view of a sweep in MLflow's page: one grid of pictures, a column a run and a row a photo, above all charts.

Left to itself the page folds a sweep's runs into one line, and prints every parameter over each picture. A shared view, which
is a tag of the experiment, opens as it should be; where a version of MLflow does not know it, the plain address is left.

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
_CARD_PX: Final = 640


def state(run_id: str, keys: Sequence[str], *, jobs: int) -> str:
    """The view of the sweep `run_id`, whose pictures have these `keys`, as the tag's value."""
    cards = [_card("gfpup-grid", keys, deleted=False)]
    # Else the page adds a card for each photo.
    cards += [_card(f"gfpup-{number}", [key], deleted=True) for number, key in enumerate(keys)]
    view = {
        "searchFilter": _filter(run_id),
        **dict(zip(("orderByKey", "orderByAsc"), _order(jobs), strict=True)),
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": cards,
        "compareRunSections": [{**_SECTION, "columns": 1, "cardHeight": _CARD_PX}],
        "hideEmptyCharts": True,
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(view).encode())).decode()


def address(base: str, sweep: Any, *, jobs: int, shared: bool) -> str:
    """Where the page at `base` shows the pictures of the run `sweep`; `shared` says whether its view was stored."""
    page = f"{base}/#/experiments/{sweep.info.experiment_id}/runs?compareRunsMode=CHART"
    if shared:
        return f"{page}&viewStateShareKey={sweep.info.run_id}"
    key, ascending = _order(jobs)
    order = f"orderByKey={quote(key, safe='')}&orderByAsc={json.dumps(ascending)}"
    return f"{page}&{order}&searchFilter={quote(_filter(sweep.info.run_id), safe='')}"


def _order(jobs: int) -> tuple[str, bool]:
    """An order other than by time, in which runs are not folded; those without the metric come last.

    The sweep's own run, which has the photos as given, is to stand left of the others, or among the ten at all.
    """
    return ("metrics.`count/photos`" if jobs < GRID_RUNS else "metrics.`count/jobs`"), False


def _filter(run_id: str) -> str:
    return f"tags.`{SWEEP}` = '{run_id}'"


_SECTION: Final = {
    "uuid": "gfpup-pictures",
    "name": SECTION,
    "display": True,
    "isReordered": False,
    "deleted": False,
    "isGenerated": False,
}


def _card(uuid: str, keys: Sequence[str], *, deleted: bool) -> dict[str, Any]:
    facts = {"type": "IMAGE", "uuid": uuid, "deleted": deleted, "isGenerated": deleted, "metricSectionId": _SECTION["uuid"]}
    return {**facts, "imageKeys": list(keys), "step": 0, "showRunParams": False}
