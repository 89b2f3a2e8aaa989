"""`gfpup app`: its flags, and what it refuses before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from gfpup.cli import app
from gfpup.core.errors import GfpupError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page would have been served with."""
    given: dict[str, Any] = {}

    class Page:
        @staticmethod
        def serve(**flags: Any) -> int:
            given.update(flags)
            return 0

    monkeypatch.setattr(app, "import_module", lambda name: Page)
    return given


def test_flags_behind_two_dashes_are_for_every_run(asked: dict[str, Any]) -> None:
    assert app.run(["--port", "8000", "--auth", "anna:pass:word", "--no-browser", "--", "--device", "cpu"]) == 0
    assert asked["extra"] == ("--device", "cpu")
    assert asked["auth"][0] == "anna"
    assert str(asked["auth"][1]) == "pass:word"
    assert (asked["host"], asked["port"], asked["browser"], asked["keep"]) == ("127.0.0.1", 8000, False, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--auth", "anna"], "expected USER:FILE"),
        (["--port", "0"], "invalid value '0' for --port"),
        (["--", "--devise", "cpu"], "there is no flag '--devise'"),
        (["photo.jpg"], "unrecognized arguments"),
    ],
)
def test_wrong_flags_are_refused_at_once(words: list[str], said: str, asked: dict[str, Any]) -> None:
    with pytest.raises(GfpupError, match=said):
        app.run(words)
    assert asked == {}
