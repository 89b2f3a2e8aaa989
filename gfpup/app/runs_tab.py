"""The tab with the runs that stand below the opened folders: open, resume, write a report."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gfpup.app import pictures
from gfpup.app.compare_tab import CompareTab
from gfpup.app.desk import Desk
from gfpup.app.texts import count
from gfpup.app.told import told
from gfpup.core.errors import GfpupError
from gfpup.records.run_record import RunRecord, find_record

Changes = dict[Any, Any]


@dataclass(eq=False)
class RunsTab:
    """The controls of the tab by name, and what they do. *Open* goes on in `compare`, a tab of `tabs`."""

    desk: Desk
    compare: CompareTab
    tabs: gr.Tabs

    def build(self, tab: gr.Tab) -> None:
        """Lay the controls out and connect them."""
        texts = self.desk.texts
        folders = ", ".join(map(str, self.desk.folders.opened))
        self.listed, self.chosen = gr.State([]), gr.State("")
        gr.HTML(f"<p>{html.escape(texts.runs_help.format(folders=folders))}</p>", elem_classes="hint")
        self.gallery = gr.Gallery(
            label=texts.runs, height="auto", allow_preview=False, interactive=False, buttons=[], elem_id="runs"
        )
        self.said = gr.HTML(elem_classes="status", elem_id="run-status")
        with gr.Row():
            self.open = gr.Button(texts.open, variant="primary", elem_id="run-open")
            self.resume = gr.Button(texts.resume, elem_id="run-resume")
            self.stop = gr.Button(texts.stop, variant="stop", elem_id="run-stop")
            self.report = gr.Button(texts.report, elem_id="run-report")
            self.refresh = gr.Button(texts.refresh, elem_id="run-refresh")
        self.file = gr.DownloadButton(texts.report_file, visible=False, elem_id="report-file")
        self._connect(tab)

    def _connect(self, tab: gr.Tab) -> None:
        plain: dict[str, Any] = {"show_progress": "minimal", "concurrency_limit": None}
        private: dict[str, Any] = {**plain, "api_visibility": "private"}
        listing = [self.listed, self.gallery, self.said]
        tab.select(told(self.list_runs), None, listing, **private)
        self.refresh.click(told(self.list_runs), None, listing, api_name="runs", **plain)
        self.gallery.select(told(self.choose), [self.listed], [self.chosen, self.said, self.file], **private)
        self.open.click(told(self.show), [self.chosen], [self.compare.folders, self.tabs], **private).success(
            told(self.compare.compare),
            [self.compare.folders, self.compare.order],
            self.compare.everything,
            **private,
        )
        self.resume.click(told(self.go_on), [self.chosen], [self.said], api_visibility="private", concurrency_limit=None)
        self.stop.click(told(self.halt), [self.chosen], [self.said], **private)
        self.report.click(told(self.write), [self.chosen], [self.file], **private)

    def list_runs(self) -> Changes:
        """All runs, the newest first, each with its first picture."""
        runs = self.desk.folders.runs()
        records = [(folder, record) for folder in runs if (record := find_record(folder)) is not None]
        pairs = [(_cover(record), f"{_short(folder)}: {record.status}") for folder, record in records]
        said = "" if pairs else f"<p>{html.escape(self.desk.texts.none_found)}</p>"
        return {self.listed: [str(folder) for folder, _ in records], self.gallery: pairs, self.said: said}

    def choose(self, listed: list[str], event: gr.SelectData) -> Changes:
        """Say what the chosen run is."""
        folder = listed[int(event.index)]
        return {self.chosen: folder, self.said: self._facts(Path(folder)), self.file: gr.update(visible=False)}

    def show(self, chosen: str) -> Changes:
        """Open the chosen run in the other tab."""
        return {self.compare.folders: str(self._chosen(chosen)), self.tabs: gr.Tabs(selected="compare")}

    def go_on(self, chosen: str) -> Iterator[str]:
        """Resume the chosen run and say how far it is."""
        job = self.desk.resume(self._chosen(chosen))
        while not job.is_over:
            yield f"<p>{html.escape(self.desk.standing(job, None, 1))}</p>"
            time.sleep(0.25)
        yield f"<p>{html.escape(self.desk.standing(job, None, 1))}</p>{self._facts(job.output)}"

    def halt(self, chosen: str) -> str:
        """Stop the chosen run, where this page runs it."""
        job = self.desk.jobs.of(self._chosen(chosen))
        if job is not None:
            self.desk.jobs.stop(job)
        return (
            f"<p>{html.escape(self.desk.texts.stopping)}</p>"
            if job is not None and not job.is_over
            else self._facts(Path(chosen))
        )

    def write(self, chosen: str) -> Any:
        """Write the report of the chosen run, and offer it."""
        from gfpup.analysis.report import REPORT, write_report

        folder = self._chosen(chosen)
        return gr.update(value=str(write_report([folder], folder / REPORT)), visible=True)

    def _chosen(self, chosen: str) -> Path:
        if not chosen:
            raise GfpupError(self.desk.texts.no_run)
        return self.desk.folders.inside(chosen, self.desk.texts.outside)

    def _facts(self, folder: Path) -> str:
        record = find_record(folder)
        if record is None:
            return ""
        said = self.desk.texts.run_facts.format(
            folder=folder,
            status=record.status,
            photos=count(self.desk.texts, len(record.photos)),
            method=record.pixels.get("backend", ""),
            started=str(record.document.get("started", ""))[:16].replace("T", " "),
        )
        return f"<p>{html.escape(said)}</p>"


def _cover(record: RunRecord) -> Image.Image:
    """The first picture of a run, or an empty one."""
    for photo in record.photos:
        path = record.folder / photo.name
        if photo.error is None and path.resolve().is_relative_to(record.folder.resolve()) and path.is_file():
            return pictures.shown(path, pictures.THUMB_PX)
    return Image.new("RGB", (pictures.THUMB_PX, pictures.THUMB_PX * 3 // 4), (89, 99, 110))


def _short(folder: Path) -> str:
    return "/".join(folder.parts[-2:])
