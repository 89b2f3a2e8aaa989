"""The site of docs/: it builds strictly, its links lead somewhere, its commands parse, and cli.md is what the code says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import pytest
import yaml

import gfpup
from gfpup.cli import infer
from gfpup.cli.main import IN_OWN_MODULE
from gfpup.cli.overrides import to_overrides
from gfpup.models import backends

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [
    *PAGES,
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("experiments/*/README.md")),
]

PROMISED = (
    *("index", "choose-backend", "metrics", "batch-processing", "hardware", "cli", "python", "tracking"),
    *("plugins", "architecture", "faq", "scale", "HARDWARE_GUIDE", "old-photos", "install"),
)
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|Users|tmp|mnt|opt)/[\w./-]*")


def commands(page: Path) -> list[str]:
    """The lines of fenced blocks that are commands of ours, without comments; a line that ends in a backslash goes on."""
    found = []
    for block in re.findall(r"^ *```[\w ]*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            # Help texts show their examples behind two spaces; at the margin they only speak of commands.
            if page.name == "cli.md" and not re.match(r"  \w", line):
                continue
            words = line.strip().removeprefix(".venv/bin/")
            words = words[words.find("gfpup run") :] if words.startswith("srun ") else words
            if re.match(r"(gfpup|gfpgan-infer) (?!VERB)", words):
                found.append(words)
    return found


LINES = [(page.name, line) for page in (*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md") for line in commands(page)]


def test_every_page_is_there_and_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name in PROMISED:
        assert (DOCS / f"{name}.md").is_file() and f"{name}.md" in navigation, name


def test_commands_were_found() -> None:
    by_page = {name for name, _ in LINES}
    assert by_page >= {
        "choose-backend.md",
        "batch-processing.md",
        "hardware.md",
        "cli.md",
        "faq.md",
        "tracking.md",
        "README.md",
    }
    assert len(LINES) > 120


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line[:60]}" for page, line in LINES])
def test_a_command_of_a_page_parses(page: str, line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "gfpgan-infer":
        to_overrides(infer.translate(words).words)
        return
    verb, *rest = words
    if verb in ("run", "sweep"):
        to_overrides([*rest, *(["-m"] if verb == "sweep" else [])])
    elif verb == "backends":
        assert import_module("gfpup.cli.backends").describe and rest[:1] in ([], ["show"], ["--json"], ["--markdown"])
    elif verb == "completion":
        assert len(rest) == 1 and rest[0] in import_module("gfpup.cli.completion").SHELLS
    elif verb not in ("version", "--help"):
        assert verb in IN_OWN_MODULE, f"{page} names a verb that is not there"
        if rest != ["--help"]:
            module = import_module(f"gfpup.cli.{verb}")
            getattr(module, "_parse", module.PARSER.read)(rest)


def test_the_page_of_the_commands_is_what_they_say() -> None:
    spec = util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    generate = util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == generate.page(), "run: python docs/generate.py"


def test_links_lead_somewhere() -> None:
    for page in TEXTS:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists() and file.is_relative_to(ROOT), f"{page.name} links to {target}"
            if anchor:
                assert anchor in anchors(file), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, by the rule of Python-Markdown."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_what_the_architecture_names_is_there() -> None:
    """Every path in code font exists, and a name that follows a file in code font is defined in it."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:gfpup|conf|experiments|tests|docs)/[\w/.-]*)`(?:, `(\w+)`)?", page)
    assert len(named) > 40
    for path, name in named:
        assert (ROOT / path).exists(), path
        if name:
            defined = rf"^(?:def|class) {name}\b"
            assert re.search(defined, (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), f"{path} has no {name}"


def test_every_folder_of_the_package_is_in_the_architecture() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for folder in sorted(path.parent for path in (ROOT / "gfpup").glob("*/__init__.py")):
        assert f"`gfpup/{folder.name}/`" in page, folder.name


def test_no_page_names_a_path_of_this_machine() -> None:
    for page in [*TEXTS, ROOT / "CITATION.cff", ROOT / "mkdocs.yml"]:
        text = page.read_text(encoding="utf-8")
        # Scripts of studies take a scratch folder as an argument; that one is on every machine.
        found = [path for path in ABSOLUTE.findall(text) if not re.fullmatch(r"/tmp/[a-z]+", path)]
        assert not found, f"{page.name}: {found}"


def test_the_old_link_leads_to_the_new_page() -> None:
    text = (DOCS / "HARDWARE_GUIDE.md").read_text(encoding="utf-8")
    assert 'http-equiv="refresh"' in text and "url=hardware.html" in text and "(hardware.md)" in text


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_site_builds_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    if util.find_spec("mkdocs") is None or util.find_spec("material") is None:
        pytest.skip("mkdocs and mkdocs-material are not installed (pip install 'gfpup[docs]')")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {f"{name}.html" for name in PROMISED} <= {page.name for page in pages}
    for page in pages:
        # What a browser fetches by itself; links that a reader may follow are no business of this test.
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=\"?([^\s\">]+)", page.read_text(encoding="utf-8"))
        loaded += re.findall(r"<link\b(?=[^>]*rel=\"?stylesheet)[^>]*\shref=\"?([^\s\">]+)", page.read_text(encoding="utf-8"))
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page.name
    tabs = (tmp_path / "site" / "choose-backend.html").read_text(encoding="utf-8")
    assert tabs.count('class="tabbed-set') >= 5


def test_the_citation_names_this_version_and_every_learned_method() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == gfpup.__version__ and citation["license"] == "Apache-2.0"
    for reference in citation["references"]:
        assert reference["authors"] and reference["year"] and (reference.get("collection-title") or reference.get("journal"))
    cited = " ".join(reference["notes"] for reference in citation["references"])
    for name in ("gfpgan", "codeformer", "restoreformer", "restoreformerpp"):
        assert name in backends.TABLE and f"--backend {name}" in cited
