"""The page in a real browser and by its API: it restores what `gfpup run` restores, and nobody reads what is not theirs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from gfpup.records.run_record import read_run

pytestmark = pytest.mark.usefixtures("served")
PATIENCE = 60_000
OVER = "document.querySelector('#status').innerText.match(/Done|Stopped/)"


@pytest.fixture
def opened(browser: Any, served: Any) -> Iterator[Callable[[int], Any]]:
    """Opens the page in a browser of its own, signed in; fails where it complains or asks anything of another address."""
    complaints: list[str] = []
    contexts = []

    def open_page(width: int = 1280) -> Any:
        contexts.append(context := browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce"))
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        own = (served.address, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
        page.goto(served.address)
        page.wait_for_selector("input[type=password]")
        for box, text in zip(page.locator("input").all(), ("anna", "correct horse"), strict=False):
            box.fill(text)
        page.get_by_role("button", name="Login").click()
        page.wait_for_selector("#restore")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def two(shared: Path) -> list[str]:
    return [str(shared / "data" / "photos" / name) for name in ("two_people.jpg", "one_face_small.jpg")]


def drop(page: Any, photos: list[str]) -> None:
    page.set_input_files("#drop input[type=file]", photos)
    page.wait_for_selector("#photo img")
    page.locator("#method input[value=classical]").check()


def restore(page: Any) -> str:
    page.locator("#restore").click()
    page.wait_for_function(OVER)
    return str(page.locator("#status").inner_text())


def test_two_photos_one_face_left_alone_and_the_bytes_of_gfpup_run(
    opened: Any, two: list[str], served: Any, gfpup: Callable[..., int], tmp_path: Path
) -> None:
    page = opened()
    drop(page, two)
    boxes = page.locator("#faces input[type=checkbox]")
    assert boxes.count() == 2
    picture = page.locator("#photo img").bounding_box()
    page.mouse.click(picture["x"] + picture["width"] * 0.71, picture["y"] + picture["height"] * 0.45)  # the woman on the right
    page.wait_for_function("[...document.querySelectorAll('#faces input')].filter(it => it.checked).length == 1")
    left_alone = [not boxes.nth(i).is_checked() for i in range(2)].index(True)
    assert "Done" in restore(page)

    handle = page.locator("#slider img").last
    handle.wait_for()
    assert page.locator("#face-pairs figure").nth(left_alone).inner_text().endswith("left as it was: it was not picked.")
    assert "faces pasted with" in page.locator("#decided").inner_text()
    before = page.locator("#slider").screenshot()
    box = page.locator("#slider").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 5, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert page.locator("#slider").screenshot() != before

    with page.expect_download() as one:
        page.locator("#download-one").click()
    words = page.locator("#command textarea").input_value().split()
    assert f"two_people.jpg={1 - left_alone}" in words
    folder = Path(two[0]).parent
    at = words.index("--output")
    full = [str(folder / word) if words[i - 1] == "--input" else word for i, word in enumerate(words)]
    assert gfpup(*full[1:at], "--output", tmp_path / "out", "--quiet") == 0
    assert Path(one.value.path()).read_bytes() == (tmp_path / "out" / "two_people.jpg").read_bytes()
    mine, theirs = read_run(tmp_path / "out"), read_run(max((served.folder / "jobs").iterdir()) / "out")
    assert mine.document["fingerprint"] == theirs.document["fingerprint"]
    assert [photo.faces[0].reason for photo in mine.photos] == [photo.faces[0].reason for photo in theirs.photos]

    page.locator("#other input").click()
    page.get_by_role("option", name="gfpgan", exact=True).click()
    page.locator("#try").click()
    page.wait_for_function("document.querySelector('#status').innerText.includes('gfpgan')")  # its weights are not here
    assert "Traceback" not in page.locator("#status").inner_text()


def test_stop_leaves_a_record_that_says_so_and_resume_goes_on(opened: Any, two: list[str], served: Any, tmp_path: Path) -> None:
    photos = [str(shutil.copyfile(two[1], tmp_path / f"photo{i}.jpg")) for i in range(6)]
    page = opened(390)
    drop(page, photos)
    page.locator("#restore").click()
    until, done = time.monotonic() + 60, 0
    while not done and time.monotonic() < until:
        job = max((served.folder / "jobs").iterdir(), key=lambda path: path.name)
        done = len(list((job / "out").glob("*.jpg")))
        time.sleep(0.05)
    page.locator("#stop").click()
    page.wait_for_function(OVER)
    assert "Stopped after" in page.locator("#status").inner_text()
    assert read_run(job / "out").status == "interrupted"

    page.get_by_role("tab", name="Runs").click()
    page.locator("#runs button.thumbnail-item").first.click()
    page.wait_for_function("document.querySelector('#run-status').innerText.includes('interrupted')")
    page.locator("#run-resume").click()
    page.wait_for_function("document.querySelector('#run-status').innerText.includes('Done')")
    assert len(read_run(job / "out").photos) == 6
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_compare_lines_up_a_sweep_and_refuses_other_folders(opened: Any, served: Any) -> None:
    page = opened(390)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#folders textarea").fill(str(served.opened / "sweep"))
    page.locator("#open").click()
    page.wait_for_selector("#grid img")
    rows = page.locator("#grid tbody tr")
    assert rows.count() == 3
    assert "ssim" in rows.first.inner_text()
    differences = [float(text.split("difference ")[1].split()[0]) for text in rows.all_inner_texts()]
    assert differences == sorted(differences, reverse=True)
    page.locator("#folders textarea").fill(f"{served.opened}/../../..")
    page.locator("#open").click()
    page.get_by_text("is outside the folders").wait_for()


def test_two_browsers_at_once_keep_their_photos_apart(opened: Any, two: list[str]) -> None:
    one, other = opened(), opened()
    drop(one, two[:1])
    drop(other, two[1:])
    one.locator("#restore").click()
    other.locator("#restore").click()
    for page, name in ((one, "two_people.jpg"), (other, "one_face_small.jpg")):
        page.wait_for_function(OVER)
        page.locator("#slider img").last.wait_for()
        assert name in page.locator("#command textarea").input_value()


def test_the_api_restores_in_one_call(served: Any, two: list[str]) -> None:
    client = api(served)
    from gradio_client import handle_file

    chosen = json.dumps({"two_people.jpg": []})
    files, record = client.predict(
        [handle_file(path) for path in two], "classical", 1.0, 0.5, 2.0, "auto", False, chosen, api_name="/restore_photos"
    )
    assert sorted(Path(file).name for file in files) == ["one_face_small.jpg", "two_people.jpg"]
    record = json.loads(record)
    assert record["status"] == "done"
    faces = {photo["name"]: [face["restored"] for face in photo["faces"]] for photo in record["photos"]}
    assert faces["two_people.jpg"] == [False, False]
    with pytest.raises(Exception, match="not in the list of choices"):
        client.predict([handle_file(two[0])], "gfpgam", 1.0, 0.5, 2.0, "auto", False, "{}", api_name="/restore_photos")


def test_a_file_that_is_no_photo_is_one_sentence_and_the_page_lives_on(served: Any, tmp_path: Path) -> None:
    client = api(served)
    from gradio_client import handle_file

    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(Exception, match=r"^bad\.jpg cannot be read"):
        client.predict(
            [handle_file(tmp_path / "bad.jpg")], "classical", 1, 0.5, 2, "auto", False, "{}", api_name="/restore_photos"
        )


def test_nobody_comes_in_without_the_password(served: Any) -> None:
    from gradio_client import Client

    with pytest.raises(Exception, match=r"(?i)login|auth|401"):
        Client(served.address, verbose=False)
    with pytest.raises(Exception, match=r"(?i)login|auth|401|credentials"):
        Client(served.address, auth=("anna", "wrong"), verbose=False)
    for path in ("config", "gradio_api/info", f"gradio_api/file={served.folder}/jobs", "gradio_api/queue/status"):
        with pytest.raises(HTTPError) as refusal:
            urlopen(f"{served.address}{path}", timeout=10)
        assert refusal.value.code in (401, 403, 404), path


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{folder}/../password.txt",
        "{folder}/jobs/../../password.txt",
        "{folder}/jobs/link/password.txt",
        "{opened}/sweep/sweep.json",
        "..%2f..%2f..%2f..%2fetc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_folder(served: Any, path: str) -> None:
    import httpx

    (served.folder / "jobs" / "link").unlink(missing_ok=True)
    (served.folder / "jobs" / "link").symlink_to(served.folder.parent)
    with httpx.Client(base_url=served.address) as client:
        assert client.post("login", data={"username": "anna", "password": "correct horse"}).status_code == 200
        for way in ("gradio_api/file=", "gradio_api/file/", "file="):
            answer = client.get(way + path.format(folder=served.folder, opened=served.opened))
            assert answer.status_code in (401, 403, 404, 405), way
    (served.folder / "jobs" / "link").unlink()


def test_a_client_cannot_name_a_file_of_the_server_as_its_upload(served: Any, two: list[str]) -> None:
    """It would be shown to whoever named it. Gradio's own client would upload the file, so this goes without it."""
    import httpx

    secret = shutil.copyfile(two[0], served.folder.parent / "secret.jpg")
    known = {"session_hash": "stranger", "data": [[{"path": str(secret), "meta": {"_type": "gradio.FileData"}}], "classical"]}
    with httpx.Client(base_url=served.address, timeout=PATIENCE / 1000) as client:
        assert client.post("login", data={"username": "anna", "password": "correct horse"}).status_code == 200
        for path in (str(secret), f"{served.folder}/uploads/../../secret.jpg"):
            known["data"][0][0]["path"] = path  # type: ignore[index]
            asked = client.post("gradio_api/call/look", json=known)
            assert asked.status_code in (200, 403), asked.text
            if asked.status_code == 200:
                answer = client.get(f"gradio_api/call/look/{asked.json()['event_id']}").text
                assert "event: error" in answer
                assert "secret.jpg" not in answer


def api(served: Any) -> Any:
    from gradio_client import Client

    return Client(served.address, auth=("anna", "correct horse"), verbose=False)
