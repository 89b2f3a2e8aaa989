"""A trial beside the page: raters vote in their browsers behind the password, and their files are gathered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gfpup.analysis.vote import collect
from gfpup.app import ballot
from gfpup.core.errors import GfpupError


def test_a_rater_votes_and_the_command_counts_it(served: Any, browser: Any) -> None:
    trial = served.folder.parent / "trial"
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{served.address}vote")
    page.wait_for_selector("input[type=password]")  # without the password there is no trial
    for box, text in zip(page.locator("input").all(), (served.user, served.password), strict=False):
        box.fill(text)
    page.get_by_role("button", name="Login").click()
    page.wait_for_selector("#restore")
    page.goto(f"{served.address}vote")
    page.get_by_role("textbox").fill("anna")
    page.get_by_role("button", name="Start").click()
    for _ in range(200):
        if page.get_by_text("Your votes were sent").is_visible():
            break
        go_on = page.get_by_role("button", name="Continue")  # between the two questions
        go_on.click() if go_on.is_visible() else page.keyboard.press("1")
        page.wait_for_timeout(30)
    page.get_by_text("Your votes were sent").wait_for()
    (file,) = (trial / "votes").iterdir()
    assert {question.raters for question in collect([file], trial).questions} == {1}


def test_nobody_votes_without_the_password_and_only_votes_are_kept(served: Any, tmp_path: Path) -> None:
    httpx = pytest.importorskip("httpx", reason="httpx comes with Gradio")
    before = set((served.folder.parent / "trial").rglob("*"))
    with httpx.Client(base_url=served.address) as client:
        assert client.post("votes", content=b"rater").status_code == 401
        assert client.get("vote").status_code == 307
        client.post("login", data={"username": served.user, "password": served.password})
        assert client.get("vote").status_code == 200
        answer = client.post("votes", content=b"\x00" * 99)
        assert answer.status_code == 400 and answer.text.count("\n") == 0 and "votes.csv" in answer.text
        assert client.post("votes", content=b"x" * (ballot.MOST_BYTES + 1)).status_code == 413
    assert set((served.folder.parent / "trial").rglob("*")) == before
    with pytest.raises(GfpupError, match="there is no trial"):
        ballot.gather(b"rater", tmp_path)
