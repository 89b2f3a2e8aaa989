"""Every text of the page, in English. Another language is another `Texts`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Texts:
    """The words of the page; what stands in braces is filled in."""

    title: str = "gfpup"
    lead: str = "Restore the faces in old photos, on this computer. Nothing is sent anywhere else."
    tab_restore: str = "Restore"
    tab_compare: str = "Compare"
    tab_runs: str = "Runs"
    login: str = "This page is private: give the name and the password of its owner."

    # Restore: photos and faces
    drop: str = "Photos: drop one or many here, or click to choose"
    photo: str = "Photo"
    found: str = "{photo}: {faces} found."
    no_face: str = "{photo}: no face found. The photo would only be enlarged."
    faces_one: str = "1 face"
    faces_many: str = "{n} faces"
    faces_none: str = "no faces"
    image: str = "The photo, with its faces numbered"
    image_help: str = "Click a face to leave it as it is, or choose below."
    click: str = "A click on a face"
    click_leave: str = "leaves it as it is, or takes it again"
    click_only: str = "takes only this face"
    taken: str = "Faces to restore"
    face: str = "Face {n}"
    cannot: str = "Face {n} is left as it is: {reason}."

    # Restore: how
    how: str = "How to restore"
    method: str = "Method"
    about: str = "Best for: {best}."
    limits: str = "Note: {limits}."
    licence_free: str = "No weights, no restrictions."
    licence_yes: str = "Licence: {licence}, commercial use allowed."
    licence_no: str = "Licence: {licence}, non-commercial use only."
    licence_unclear: str = "Licence: {licence}; whether commercial use is allowed is {use}."
    seconds_measured: str = "About {seconds} a photo, as measured on this computer."
    seconds_estimated: str = "About {seconds} for {faces}, by arithmetic; not measured here yet."
    seconds_unknown: str = "Not measured on this computer yet."
    weights_missing: str = "Its weights ({size}) are not on this computer yet and are downloaded first."
    consent: str = "My use is non-commercial, and I accept the licence {licence}."
    trust: str = "No hash of {file} is published, so its download cannot be verified: I trust the first one."
    strength: str = "Strength"
    strength_help: str = "How much of the restored face is blended in."
    fidelity: str = "Fidelity"
    fidelity_help: str = "0 trusts the method, 1 keeps the input."
    size: str = "Size"
    background: str = "Background"
    backgrounds: dict[str, str] = field(
        default_factory=lambda: {
            "auto": "automatic",
            "none": "enlarge plainly (Lanczos)",
            "realesrgan": "Real-ESRGAN (slow without a GPU)",
        }
    )
    restore: str = "Restore"
    stop: str = "Stop"

    # Restore: progress and result
    idle: str = "Drop a photo to begin."
    ready: str = "Ready: {photos}."
    photos_one: str = "1 photo"
    photos_many: str = "{n} photos"
    waiting: str = "Waiting: {n} before this one."
    running: str = "Photo {at} of {n}, {elapsed} so far{left}."
    left: str = ", about {seconds} left"
    ended: dict[str, str] = field(
        default_factory=lambda: {
            "done": "Done in {elapsed}.",
            "failed": "Done in {elapsed}, but not everything worked: {said}",
            "interrupted": "Stopped after {at} of {n} photos. Restore again, or Runs, Resume, goes on from here.",
            "refused": "{said}",
        }
    )
    stopping: str = "Stopping ..."
    result: str = "Before and after"
    faces_title: str = "Each face, before and after"
    left_alone: str = "Face {n}: left as it was{reason}"
    restored_face: str = "Face {n}: restored{reason}"
    failed_face: str = "Face {n}: failed{reason}"
    decided: str = "What was decided, and why"
    decisions: dict[str, str] = field(
        default_factory=lambda: {
            "backend": "method",
            "detector": "faces found by",
            "mask": "faces pasted with",
            "background": "background",
            "identity_min": "likeness",
            "device": "computed on",
            "dtype": "precision",
        }
    )
    try_other: str = "Try another method on this photo"
    try_button: str = "Try it"
    undo: str = "Undo"
    side_by_side: str = "Methods side by side"
    download_one: str = "Download this photo"
    download_all: str = "Download all (zip)"
    command: str = "The command that does the same"
    input: str = "input"

    # Compare
    compare_help: str = (
        "Folders of runs, of a sweep, or of any pictures with equal names, one a line. They must lie in: {folders}"
    )
    folders: str = "Folders"
    open: str = "Open"
    sort: str = "Order"
    sorts: tuple[str, str] = ("most different first", "by name")
    left_side: str = "Left"
    right_side: str = "Right"
    difference: str = "difference {value}"
    difference_help: str = "Difference: the mean absolute difference of pixels, 0 to 255, of the two columns that differ most."
    compared: str = "{photos} in {n} columns."
    page_of: str = "Page"
    not_there: str = "not there"

    # Runs
    runs_help: str = "Runs below: {folders}"
    refresh: str = "Refresh"
    runs: str = "Runs"
    run_facts: str = "{folder}: {status}, {photos}, {method}, started {started}."
    none_found: str = "There is no run yet."
    resume: str = "Resume"
    report: str = "Write report"
    report_file: str = "Report"
    resume_elsewhere: str = "This run was not made by this page. To resume it, run: {command}"

    # Errors
    no_photo: str = "There is no photo yet: drop one first."
    no_result: str = "There is no result yet."
    outside: str = "{path} is outside the folders that this page may open: {folders}."
    no_run: str = "Choose a run first."
    lost_worker: str = "The process that restores ended unexpectedly, perhaps for lack of memory; the next job starts it again."
    unexpected: str = "An unexpected error ({error}); the terminal shows more."


EN = Texts()


def count(texts: Texts, n: int) -> str:
    """So many photos, in words."""
    return texts.photos_one if n == 1 else texts.photos_many.format(n=n)


def count_faces(texts: Texts, n: int) -> str:
    """So many faces, in words."""
    return (texts.faces_none, texts.faces_one)[n] if n < 2 else texts.faces_many.format(n=n)


def duration(seconds: float) -> str:
    """A time for people: "8 s", "3 min", "1 h 5 min"."""
    if seconds < 99.5:
        return f"{max(seconds, 0.1):.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
