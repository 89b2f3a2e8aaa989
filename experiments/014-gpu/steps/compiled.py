"""Forward passes compiled by torch; on a CPU that takes minutes, so the small kit leaves it out."""

from __future__ import annotations

import forwards
import kit

if kit.SMALL:
    kit.tell(engine="compile", error="left out by --small: compiling takes minutes on a CPU")
else:
    forwards.measure((("gfpup", "compile"),), ("gfpgan", "codeformer"))
