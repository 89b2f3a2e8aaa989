"""The page as a whole: three tabs over one desk, and an endpoint for programs that restores in one call."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from gfpup.app.compare_tab import CompareTab
from gfpup.app.desk import Desk
from gfpup.app.folders import Folders
from gfpup.app.jobs import Jobs, Worker
from gfpup.app.request import Choice
from gfpup.app.restore_tab import RestoreTab
from gfpup.app.runs_tab import RunsTab
from gfpup.app.texts import EN, Texts
from gfpup.app.told import told
from gfpup.core.errors import GfpupError
from gfpup.records.run_record import find_record
from gfpup.weights.resolver import open_store


def build(folders: Folders, extra: Sequence[str], texts: Texts = EN) -> tuple[gr.Blocks, Desk]:
    """The page, ready to be launched, and the desk that it works on."""
    words = list(extra)
    given = [Path(words[i + 1]) for i, word in enumerate(words[:-1]) if word == "--weights-dir"]
    desk = Desk(
        folders, Jobs(Worker(), lost=texts.lost_worker), Worker(), open_store(given[0] if given else None), tuple(extra), texts
    )
    with gr.Blocks(title=texts.title, analytics_enabled=False) as page:
        gr.HTML(f"<h1>{texts.title}</h1><p>{texts.lead}</p>", elem_classes="lead")
        with gr.Tabs() as tabs:
            with gr.Tab(texts.tab_restore, id="restore"):
                restore = RestoreTab(desk)
                restore.build()
            with gr.Tab(texts.tab_compare, id="compare"):
                compare = CompareTab(desk)
                compare.build()
            with gr.Tab(texts.tab_runs, id="runs") as tab:
                RunsTab(desk, compare, tabs).build(tab)
        _endpoint(desk, restore)
    page.queue(default_concurrency_limit=None, max_size=200)
    return page, desk


def _endpoint(desk: Desk, restore: RestoreTab) -> None:
    """`/restore_photos` for programs: photos and settings in, restored photos and the record out, in one call."""
    picks = gr.Textbox(visible=False, label="faces", value="{}")
    files, record = gr.File(visible=False, file_count="multiple", label="restored"), gr.Textbox(visible=False, label="record")

    def restore_photos(
        photos: list[str] | None, method: str, strength: float, fidelity: float, size: float, background: str,
        consent: bool, faces: str,
    ) -> tuple[list[str], str]:  # fmt: skip
        """Restore photos; the record comes as JSON.

        `faces` is JSON too: the numbers of the faces to restore, from 0, by the photo's name; {} takes all.
        """
        session = desk.look([Path(photo) for photo in photos or ()])
        if session.refused:
            raise GfpupError(session.refused[0])
        chosen = json.loads(faces or "{}")
        for seen in session.photos:
            seen.taken = set(chosen.get(seen.name, seen.taken)) & seen.possible
        choice = Choice(method, float(strength), float(fidelity), float(size), background)
        job = desk.begin(session, choice, consented=consent)
        while not job.is_over:
            time.sleep(0.02)
        found = find_record(job.output)
        if found is None or job.status in ("refused", "interrupted"):
            raise GfpupError(desk.standing(job, None, 1))
        return [str(job.output / photo.name) for photo in found.photos if photo.error is None], json.dumps(found.document)

    controls = [restore.method, restore.strength, restore.fidelity, restore.size, restore.background, restore.consent]
    gr.Button(visible=False).click(
        told(restore_photos),
        [restore.drop, *controls, picks],
        [files, record],
        api_name="restore_photos",
        concurrency_limit=None,
    )
