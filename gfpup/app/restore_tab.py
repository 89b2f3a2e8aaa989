"""The tab in which photos are dropped and restored."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from gfpup.app import methods, pictures, request, results
from gfpup.app.desk import Desk, Session, archive
from gfpup.app.request import Choice
from gfpup.app.texts import count_faces
from gfpup.app.told import told
from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line
from gfpup.photos.formats import FOREIGN_EXTENSIONS, PICTURE_EXTENSIONS
from gfpup.planning.schema import OPTIONS

POLL_SECONDS: Final = 0.25
SIZES: Final = (1.0, 2.0, 4.0)
Changes = dict[Any, Any]


@dataclass(eq=False)
class RestoreTab:
    """The controls of the tab by name, and what they do. `build` makes them inside a tab of the page."""

    desk: Desk

    def build(self) -> None:
        """Lay the controls out and connect them."""
        self.session = gr.State(Session())
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                self._build_photo()
            with gr.Column(scale=4, min_width=320):
                self._build_choice()
        with gr.Column(visible=False, elem_id="result") as self.result:
            self._build_result()
        self._connect()

    def _build_photo(self) -> None:
        texts = self.desk.texts
        endings = sorted(f".{ext}" for ext in PICTURE_EXTENSIONS | FOREIGN_EXTENSIONS)
        self.drop = gr.File(label=texts.drop, file_count="multiple", file_types=endings, height=150, elem_id="drop")
        self.which = gr.Dropdown(label=texts.photo, visible=False, interactive=True, elem_id="which")
        self.image = gr.Image(
            show_label=False, alt_text=texts.image, interactive=False, type="pil", visible=False, buttons=[], elem_id="photo"
        )
        self.click = gr.Radio(
            [(texts.click_leave, "leave"), (texts.click_only, "only")], value="leave", label=texts.click, visible=False
        )
        self.taken = gr.CheckboxGroup(label=texts.taken, visible=False, interactive=True, elem_id="faces")
        self.found = gr.HTML(elem_classes="about", elem_id="found")

    def _build_choice(self) -> None:
        texts, first = self.desk.texts, methods.default(self.desk.store)
        self.method = gr.Radio(list(methods.OFFERED), value=first, label=texts.method, elem_id="method")
        self.about = gr.HTML(self._about(first, 0), elem_classes="about", elem_id="about")
        self.consent = gr.Checkbox(
            label=self._consent_text(first),
            visible=methods.consent_needed(first, self.desk.store) is not None,
            elem_id="consent",
        )
        strength = OPTIONS["restore.strength"].default
        self.strength = gr.Slider(0, 1, strength, step=0.05, label=texts.strength, info=texts.strength_help)
        self.fidelity = gr.Slider(
            0,
            1,
            request.default("restore.fidelity"),
            step=0.05,
            label=texts.fidelity,
            info=texts.fidelity_help,
            visible=methods.takes_fidelity(first),
        )
        sizes = [(f"{size:g}x", size) for size in SIZES]
        self.size = gr.Radio(sizes, value=request.default("restore.upscale"), label=texts.size, elem_id="size")
        backgrounds = [(text, name) for name, text in texts.backgrounds.items()]
        self.background = gr.Dropdown(backgrounds, value="auto", label=texts.background)
        with gr.Row():
            self.restore = gr.Button(texts.restore, variant="primary", elem_id="restore")
            self.stop = gr.Button(texts.stop, variant="stop", elem_id="stop")
        self.status = gr.HTML(self._said(texts.idle), elem_classes="status", elem_id="status")

    def _build_result(self) -> None:
        texts = self.desk.texts
        self.slider = gr.ImageSlider(label=texts.result, interactive=False, max_height=640, elem_id="slider")
        with gr.Row():
            self.one = gr.DownloadButton(texts.download_one, elem_id="download-one")
            self.all = gr.DownloadButton(texts.download_all, elem_id="download-all")
            self.undo = gr.Button(texts.undo, visible=False, elem_id="undo")
        with gr.Row():
            self.other = gr.Dropdown(list(methods.OFFERED), value="classical", label=texts.try_other, elem_id="other")
            self.attempt = gr.Button(texts.try_button, elem_id="try")
        self.beside = gr.HTML(elem_id="beside")
        with gr.Accordion(texts.faces_title, open=True):
            self.faces = gr.HTML(elem_id="face-pairs")
        with gr.Accordion(texts.decided, open=True):
            self.decided = gr.HTML(elem_id="decided")
        self.command = gr.Textbox(label=texts.command, interactive=False, lines=2, buttons=["copy"], elem_id="command")

    def _connect(self) -> None:
        photo = [self.session, self.which, self.image, self.click, self.taken, self.found, self.about, self.status]
        shown = [self.slider, self.one, self.all, self.undo, self.beside, self.faces, self.decided, self.command, self.result]
        choice = [self.method, self.strength, self.fidelity, self.size, self.background, self.consent]
        plain: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
        looking: dict[str, Any] = {"show_progress": "minimal", "concurrency_limit": None}
        self.drop.upload(told(self.look), [self.drop, self.method], [*photo, self.result], api_name="look", **looking)
        self.drop.clear(told(self.forget), None, [*photo, self.result], api_visibility="private", **plain)
        self.which.input(
            told(self.turn_to), [self.session, self.which, self.method], [*photo, *shown], api_visibility="private", **plain
        )
        self.image.select(
            told(self.click_face), [self.session, self.click, self.method], photo, api_visibility="private", **plain
        )
        self.taken.input(told(self.take), [self.session, self.taken, self.method], photo, api_name="take_faces", **plain)
        self.method.change(
            told(self.choose),
            [self.session, self.method],
            [self.about, self.consent, self.fidelity],
            api_visibility="private",
            **plain,
        )
        work = [self.session, self.status, self.consent, *shown]
        self.restore.click(told(self.run), [self.session, *choice], work, api_name="restore", **plain)
        self.attempt.click(told(self.try_other), [self.session, self.other, *choice[1:]], work, api_name="try_other", **plain)
        self.stop.click(told(self.stop_job), [self.session], [self.status], api_name="stop", **plain)
        self.undo.click(told(self.take_back), [self.session], [self.session, *shown], api_name="undo", **plain)

    # What happens

    def look(self, files: list[str] | None, method: str) -> Changes:
        """Find the faces of the dropped photos."""
        session = self.desk.look([Path(file) for file in files or ()])
        return {
            **self._photo(session, method),
            self.status: self._said(self.desk.ready(session), bad=not session.photos),
            self.result: gr.update(visible=False),
        }

    def forget(self) -> Changes:
        """Begin again, without photos."""
        session = Session()
        found = self._photo(session, methods.default(self.desk.store))
        return {**found, self.status: self._said(self.desk.texts.idle), self.result: gr.update(visible=False)}

    def turn_to(self, session: Session, name: str, method: str) -> Changes:
        """Show another of the photos, with its result."""
        session.at = next((i for i, seen in enumerate(session.photos) if seen.name == name), 0)
        return {**self._photo(session, method), **self._result(session)}

    def click_face(self, session: Session, click: str, method: str, event: gr.SelectData) -> Changes:
        """A click on the photo: leave that face alone, take it again, or take only it."""
        seen = session.photo
        if seen is None:
            return self._photo(session, method)
        face = pictures.face_at(float(event.index[0]), float(event.index[1]), seen.size_hw, seen.boxes)
        if face is not None and face in seen.possible:
            seen.taken = {face} if click == "only" else seen.taken ^ {face}
        return self._photo(session, method)

    def take(self, session: Session, faces: list[int], method: str) -> Changes:
        """Take exactly these faces of the shown photo, by their numbers from 0."""
        if session.photo is None:
            raise GfpupError(self.desk.texts.no_photo)
        session.photo.taken = {int(face) for face in faces} & session.photo.possible
        return self._photo(session, method)

    def choose(self, session: Session, method: str) -> Changes:
        """Say what a method is, and ask for the consent that it needs."""
        faces = 0 if session.photo is None else len(session.photo.taken)
        return {
            self.about: self._about(method, faces),
            self.consent: self._consent(method),
            self.fidelity: gr.update(visible=methods.takes_fidelity(method)),
        }

    def run(self, session: Session, *controls: Any) -> Iterator[Changes]:
        """Restore all photos; goes on to say how far that is until it is over."""
        yield from self._follow(session, controls, only_shown=False)

    def try_other(self, session: Session, *controls: Any) -> Iterator[Changes]:
        """Restore the shown photo with another method too."""
        if session.photo is None:
            raise GfpupError(self.desk.texts.no_photo)
        yield from self._follow(session, controls, only_shown=True)

    def _follow(self, session: Session, controls: tuple[Any, ...], *, only_shown: bool) -> Iterator[Changes]:
        method, strength, fidelity, size, background, consented = controls
        choice = Choice(method, float(strength), float(fidelity), float(size), background)
        job = self.desk.begin(session, choice, consented=bool(consented), only_shown=only_shown)
        faces = sum(len(seen.taken) for seen in session.photos) or 1
        while not job.is_over:
            share = (job.done + 0.5) / (len(job.photos) + 0.5)
            yield {self.status: self._said(self.desk.standing(job, choice, faces), share=share)}
            until = time.monotonic() + POLL_SECONDS
            while not job.is_over and time.monotonic() < until:
                time.sleep(0.01)
        bad = job.status in ("refused", "failed")
        said = self._said(self.desk.standing(job, choice, faces), bad=bad)
        yield {self.session: session, self.status: said, self.consent: self._consent(method), **self._result(session)}
        self.desk.measure()

    def stop_job(self, session: Session) -> Changes:
        """Stop this page's run as Ctrl-C does: what is done stays, and it can be resumed."""
        if session.job is None or session.job.is_over:
            return {self.status: self._said(self.desk.ready(session))}
        self.desk.jobs.stop(session.job)
        return {self.status: self._said(self.desk.texts.stopping)}

    def take_back(self, session: Session) -> Changes:
        """Go back to the result before the last one of the shown photo."""
        tried = [] if session.photo is None else session.attempts.get(session.photo.name, [])
        if tried:
            tried.pop()
        return {self.session: session, **self._result(session)}

    # What is shown

    def _photo(self, session: Session, method: str) -> Changes:
        texts, seen = self.desk.texts, session.photo
        if seen is None:
            hidden: Changes = {part: gr.update(visible=False) for part in (self.which, self.image, self.click, self.taken)}
            return {self.session: session, **hidden, self.found: "", self.about: self._about(method, 0)}
        names = [each.name for each in session.photos]
        sentence = texts.found.format(photo=seen.name, faces=count_faces(texts, len(seen.boxes)))
        lines = [sentence if seen.boxes else texts.no_face.format(photo=seen.name)]
        lines += [texts.image_help] if len(seen.possible) > 1 else []
        lines += [texts.cannot.format(n=i + 1, reason=reason) for i, reason in enumerate(seen.why_not) if reason]
        faces = [(texts.face.format(n=i + 1), i) for i in sorted(seen.possible)]
        return {
            self.session: session,
            self.which: gr.update(choices=names, value=seen.name, visible=len(names) > 1),
            self.image: gr.update(value=pictures.with_faces(seen.path, seen.size_hw, seen.boxes, seen.taken), visible=True),
            self.click: gr.update(visible=len(faces) > 1),
            self.taken: gr.update(choices=faces, value=sorted(seen.taken), visible=bool(faces)),
            self.found: "".join(f"<p>{html.escape(one_line(line))}</p>" for line in lines),
            self.about: self._about(method, len(seen.taken)),
        }

    def _result(self, session: Session) -> Changes:
        done = session.results
        pair = results.before_after(done[-1]) if done else None
        if pair is None:
            return {self.result: gr.update(visible=False)}
        last, texts = done[-1], self.desk.texts
        whole = last.job if len(last.job.photos) > 1 else next((a.job for a in done if len(a.job.photos) > 1), last.job)
        return {
            self.result: gr.update(visible=True),
            self.slider: pair,
            self.one: gr.update(value=str(last.file)),
            self.all: gr.update(value=str(archive(whole, whole.output.parent / "restored.zip"))),
            self.undo: gr.update(visible=len(done) > 1),
            self.beside: results.side_by_side(done, texts),
            self.faces: results.faces(last, texts),
            self.decided: results.decided(last, texts),
            self.command: request.command(last.job.words),
        }

    def _about(self, method: str, faces: int) -> str:
        said = methods.description(method, self.desk.store, self.desk.speeds, faces=faces, texts=self.desk.texts)
        return "<ul>" + "".join(f"<li>{html.escape(sentence)}</li>" for sentence in said) + "</ul>"

    def _consent(self, method: str) -> Any:
        needed = methods.consent_needed(method, self.desk.store)
        return gr.update(label=self._consent_text(method), visible=needed is not None, value=False)

    def _consent_text(self, method: str) -> str:
        needed = methods.consent_needed(method, self.desk.store)
        return "" if needed is None else needed.sentence(self.desk.texts)

    def _said(self, text: str, *, share: float | None = None, bad: bool = False) -> str:
        bar = "" if share is None else f'<progress max="1" value="{share:.3f}"></progress>'
        return f'<p role="status" class="{"bad" if bad else ""}">{html.escape(one_line(text))}</p>{bar}'
