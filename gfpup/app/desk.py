"""What one person does in the page, without the page: photos seen, faces chosen, runs begun, results kept side by side."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gfpup.app import folders, methods, request
from gfpup.app.folders import Folders
from gfpup.app.jobs import Job, Jobs, LostWorkerError, Worker
from gfpup.app.methods import Speeds
from gfpup.app.request import Choice
from gfpup.app.texts import Texts, count, duration
from gfpup.core.errors import GfpupError
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import find_record
from gfpup.weights.store import Store


@dataclass(eq=False)
class Seen:
    """A dropped photo and its faces, in the order of the record; `why_not` says of each that cannot be restored why."""

    path: Path
    size_hw: tuple[int, int]
    boxes: list[list[float]]
    why_not: list[str | None]
    taken: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def picked(self) -> set[int] | None:
        """The faces to restore; None where nothing was changed."""
        return None if self.taken == self.possible else self.taken

    @property
    def possible(self) -> set[int]:
        return {i for i, reason in enumerate(self.why_not) if reason is None}


@dataclass(frozen=True, eq=False)
class Attempt:
    """A photo's result in a run: `method` is what made it, in words, `photo` the name of its input there."""

    method: str
    job: Job
    photo: str

    @property
    def line(self) -> PhotoRecord | None:
        """The photo's line in the record; None before it has one."""
        record = find_record(self.job.output)
        found = [] if record is None else [line for line in record.photos if Path(line.input).name == self.photo]
        return found[0] if found else None

    @property
    def file(self) -> Path | None:
        """The restored photo; None where there is none."""
        path = None if self.line is None else self.job.output / self.line.name
        return path if path is not None and path.is_file() else None


@dataclass(eq=False)
class Session:
    """One open page: its photos, which of them is shown, its last run, and the results of each photo, the newest last."""

    photos: list[Seen] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    at: int = 0
    job: Job | None = None
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)

    @property
    def photo(self) -> Seen | None:
        return self.photos[self.at] if self.photos else None

    @property
    def results(self) -> list[Attempt]:
        """Those results of the shown photo that are there."""
        tried = [] if self.photo is None else self.attempts.get(self.photo.name, [])
        return [attempt for attempt in tried if attempt.file is not None]


@dataclass(eq=False)
class Desk:
    """What all open pages share: the queue, the folders, the weights, and what is known of the machine's speed."""

    folders: Folders
    jobs: Jobs
    looker: Worker
    store: Store
    extra: tuple[str, ...]
    texts: Texts
    speeds: Speeds = field(default_factory=lambda: Speeds({}))

    def warm(self) -> None:
        """Measure the machine's speed, which loads what looks for faces, and start what restores."""
        self.measure()
        try:
            answer = self.looker.ask(do="speed")
        except LostWorkerError:
            return  # the page was closed already
        self.jobs.worker.start()  # not before: the two would load at once, and the first photo waits for the other
        self.speeds = replace(self.speeds, gflops=float(answer.get("gflops", 0.0)))

    def measure(self) -> None:
        """Take the seconds of the finished runs."""
        self.speeds = replace(self.speeds, measured=methods.measured(self.folders.runs()[:50]))

    def look(self, paths: Sequence[Path]) -> Session:
        """Find the faces of dropped photos; those that cannot be read are named in `refused`."""
        session = Session()
        for path in paths:
            try:
                answer = self.looker.ask(do="look", photo=str(path), words=list(self.extra))
            except LostWorkerError:
                answer = {"status": 1, "said": [self.texts.lost_worker]}
            if answer["status"]:
                session.refused.append(answer["said"][0].replace(str(path), path.name))
                continue
            seen = Seen(
                path,
                tuple(answer["size_hw"]),
                [face["box"] for face in answer["faces"]],
                [face["reason"] for face in answer["faces"]],
            )
            seen.taken = seen.possible
            session.photos.append(seen)
        return session

    def start(self, photos: Sequence[Seen], choice: Choice, *, consented: bool) -> Job:
        """Begin a run over photos.

        Raises: GfpupError: there are none, or they cannot be copied.
        """
        if not photos:
            raise GfpupError(self.texts.no_photo)
        try:
            folder, placed = self.folders.new_job([seen.path for seen in photos])
        except OSError as error:
            raise GfpupError(f"cannot write to the folder {self.folders.own}: {error.strerror}.") from None
        picked = {path.name: seen.picked for path, seen in zip(placed, photos, strict=True)}
        consent = methods.consent_needed(choice.method, self.store) if consented else None
        choice = replace(choice, extra=self.extra)
        said = request.words(choice, list(map(str, placed)), str(folder / "out"), picked=picked, consent=consent)
        folders.remember(folder, said)
        return self.jobs.submit(said, folder / "out", [path.name for path in placed])

    def begin(self, session: Session, choice: Choice, *, consented: bool, only_shown: bool = False) -> Job:
        """Begin a run of a session, over its photos or the shown one alone; its results join the others of each photo."""
        photos = [session.photo] if only_shown and session.photo is not None else session.photos
        session.job = job = self.start(photos, choice, consented=consented)
        for seen, name in zip(photos, job.photos, strict=True):
            session.attempts.setdefault(seen.name, []).append(Attempt(choice.label, job, name))
        return job

    def resume(self, output: Path) -> Job:
        """Go on with a run that this page began.

        Raises: GfpupError: another program began it; the sentence has its command.
        """
        words = folders.remembered(output) if output.is_relative_to(self.folders.own / folders.JOBS) else None
        if words is None:
            record = find_record(output)
            argv = [] if record is None else record.document.get("argv", [])
            raise GfpupError(self.texts.resume_elsewhere.format(command=" ".join(map(str, argv))))
        photos = [Path(words[i + 1]).name for i, word in enumerate(words) if word == "--input"]
        return self.jobs.submit(words, output, photos)

    def standing(self, job: Job, choice: Choice | None, faces: int) -> str:
        """How a job stands, in one sentence, with the time left where something is known about it."""
        texts, n = self.texts, len(job.photos)
        if job.is_over:
            return texts.ended[job.status].format(elapsed=duration(job.elapsed), said=job.said, at=job.done, n=n)
        if job.stopping:
            return texts.stopping
        if job.status == "waiting":
            return texts.waiting.format(n=self.jobs.before(job))
        done = job.done
        each = job.elapsed / done if done else None if choice is None else self.speeds.photo(choice.method, max(faces // n, 1))
        left = "" if each is None else texts.left.format(seconds=duration(max(each * n - job.elapsed, 1)))
        return texts.running.format(at=min(done + 1, n), n=n, elapsed=duration(job.elapsed), left=left)

    def ready(self, session: Session) -> str:
        """What to say before a run: how many photos there are, and which could not be read."""
        said = [self.texts.ready.format(photos=count(self.texts, len(session.photos)))] if session.photos else []
        return " ".join([*said, *session.refused]) or self.texts.idle


def archive(job: Job, target: Path) -> Path:
    """All restored photos of a run and its record, as a zip file."""
    record = find_record(job.output)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as file:
        for name in [*_names(job), "manifest.json"] if record is not None else []:
            if (job.output / name).is_file():
                file.write(job.output / name, name)
    return target


def _names(job: Job) -> Iterator[str]:
    record = find_record(job.output)
    yield from () if record is None else (line.name for line in record.photos)
