"""The tab in which results stand side by side."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gfpup.app import comparison, pictures
from gfpup.app.comparison import ON_A_PAGE, Compared
from gfpup.app.desk import Desk
from gfpup.app.texts import count
from gfpup.app.told import told

Changes = dict[Any, Any]


@dataclass(eq=False)
class CompareTab:
    """The controls of the tab by name, and what they do."""

    desk: Desk

    def build(self) -> None:
        """Lay the controls out and connect them."""
        texts = self.desk.texts
        allowed = ", ".join(map(str, self.desk.folders.opened))
        self.compared = gr.State(None)
        gr.HTML(f"<p>{html.escape(texts.compare_help.format(folders=allowed))}</p>", elem_classes="hint")
        with gr.Row():
            self.folders = gr.Textbox(label=texts.folders, lines=3, max_lines=8, scale=4, elem_id="folders")
            self.open = gr.Button(texts.open, variant="primary", scale=1, elem_id="open")
        self.said = gr.HTML(elem_classes="status", elem_id="compared")
        with gr.Column(visible=False) as self.found:
            with gr.Row():
                self.photo = gr.Dropdown(label=texts.photo, elem_id="compare-photo")
                self.left = gr.Dropdown(label=texts.left_side, elem_id="left")
                self.right = gr.Dropdown(label=texts.right_side, elem_id="right")
            self.slider = gr.ImageSlider(interactive=False, show_label=False, max_height=640, elem_id="compare-slider")
            with gr.Row():
                self.order = gr.Radio(list(texts.sorts), value=texts.sorts[0], label=texts.sort, elem_id="order")
                self.page = gr.Dropdown([1], value=1, label=texts.page_of)
            self.grid = gr.HTML(elem_classes="scroll", elem_id="grid")
            gr.HTML(f"<p>{html.escape(texts.difference_help)}</p>", elem_classes="hint")
        shown = [self.photo, self.left, self.right, self.slider, self.page, self.grid]
        self.everything = [self.compared, self.said, self.found, *shown]
        self._connect()

    def _connect(self) -> None:
        plain: dict[str, Any] = {"show_progress": "minimal", "concurrency_limit": 2}
        private: dict[str, Any] = {**plain, "api_visibility": "private"}
        self.open.click(told(self.compare), [self.folders, self.order], self.everything, api_name="compare", **plain)
        self.folders.submit(told(self.compare), [self.folders, self.order], self.everything, **private)
        for part in (self.photo, self.left, self.right):
            part.input(told(self.slide), [self.compared, self.photo, self.left, self.right], [self.slider], **private)
        for control in (self.order, self.page):
            control.input(told(self.turn), [self.compared, self.order, self.page], [self.grid, self.page], **private)

    def compare(self, folders: str, order: str) -> Changes:
        """Open folders, one a line, and show what differs most."""
        given = [Path(line.strip()) for line in folders.splitlines() if line.strip()]
        compared = comparison.compare(given, self.desk.folders, self.desk.texts)
        names, columns = compared.ordered(by_difference=order == self.desk.texts.sorts[0]), list(compared.columns)
        left, right = columns[0], columns[min(1, len(columns) - 1)]
        said = self.desk.texts.compared.format(photos=count(self.desk.texts, len(names)), n=len(columns))
        return {
            self.compared: compared,
            self.said: f"<p>{html.escape(said)}</p>",
            self.found: gr.update(visible=True),
            self.photo: gr.update(choices=names, value=names[0]),
            self.left: gr.update(choices=columns, value=left),
            self.right: gr.update(choices=columns, value=right),
            self.slider: self._pair(compared, names[0], left, right),
            self.page: gr.update(choices=list(range(1, compared.pages() + 1)), value=1, visible=compared.pages() > 1),
            self.grid: comparison.grid(compared, names[:ON_A_PAGE], self.desk.texts),
        }

    def slide(self, compared: Compared, photo: str, left: str, right: str) -> Any:
        """Put two versions of a photo under the slider."""
        return self._pair(compared, photo, left, right)

    def turn(self, compared: Compared, order: str, page: int) -> Changes:
        """Show another page, or another order."""
        names = compared.ordered(by_difference=order == self.desk.texts.sorts[0])
        begin = (min(int(page), compared.pages()) - 1) * ON_A_PAGE
        return {self.grid: comparison.grid(compared, names[begin : begin + ON_A_PAGE], self.desk.texts), self.page: page}

    def _pair(self, compared: Compared, photo: str, left: str, right: str) -> tuple[Image.Image, Image.Image] | None:
        found = compared.photos.get(photo, {})
        paths = [found[column] for column in (left, right) if column in found]
        if len(paths) < 2:
            return None
        one, other = (pictures.shown(path) for path in paths)
        size = max(one.size, other.size, key=lambda wh: wh[0] * wh[1])
        return tuple(each.resize(size, Image.Resampling.LANCZOS) for each in (one, other))  # type: ignore[return-value]
