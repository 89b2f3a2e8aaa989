"""gfpup restores faces in photographs with several methods and measures which one did it best.

    import gfpup

    restorer = gfpup.load("codeformer", fidelity=0.7)
    photo = gfpup.read_photo("old.jpg")
    result = restorer(photo)
    gfpup.write_photo("new.jpg", result)

`gfpup.api` says of every name what it does; it is loaded when the first of them is asked for, and not before.
"""

# ruff: noqa: F405 (the names come from the star import below, which only type checkers see)
from typing import TYPE_CHECKING

from gfpup.core.versions import __version__

__all__ = [
    "Decision",
    "Face",
    "FaceResult",
    "GfpupError",
    "Photo",
    "PhotoError",
    "Picture",
    "Plan",
    "RestoredPhoto",
    "Restorer",
    "RunRecord",
    "Score",
    "Scorer",
    "__version__",
    "compare_runs",
    "load",
    "load_scorer",
    "plan",
    "read_photo",
    "read_run",
    "read_runs",
    "run",
    "score",
    "sweep",
    "track",
    "write_photo",
]

if TYPE_CHECKING:
    from gfpup.api import *  # noqa: F403
else:  # a type checker that saw this would take any name for an attribute

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'gfpup' has no attribute {name!r}")
        from gfpup import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
