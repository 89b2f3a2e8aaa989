"""The mark of a restored photo, in XMP: that an algorithm made part of it, which one, and of which faces.

Sources: IPTC Photo Metadata Standard 2023.1 (Digital Source Type) and its NewsCodes; XMP specification part 1, section 7 (its
RDF) and part 3 (where files hold it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from gfpup.core.types import Mark

IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OWN: Final = "https://gfpup.invalid/xmp/1.0/"
"""The namespace of gfpup's own properties; a name, under a domain that is reserved for never being one."""
SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MADE_BY_MODELS: Final = frozenset({"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"})
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PROPERTIES: Final = ("Software", "Method", "Version", "Faces")
_BEGIN: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
_END: Final = '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'


def with_mark(xmp: bytes | None, mark: Mark, *, most_bytes: int | None = None) -> tuple[bytes, list[str]]:
    """XMP with `mark` in it, and what had to be left out.

    What else a photo's own `xmp` says stays as it is, byte by byte; an earlier mark is replaced, but a photo that a trained
    model made or changed before stays marked as such. Padding goes, and then the faces, where they would take the packet over
    `most_bytes`. The same XMP and mark give the same bytes.
    """
    own, said = None if xmp is None else _text(xmp), []
    if xmp is not None and own is None:
        said.append("its XMP data was replaced by the mark of restoration: it cannot be read as XML with an RDF element")
    merged = _merged(own, mark, mark.boxes)
    if most_bytes is not None and len(merged) > most_bytes:
        merged = re.sub(rb"\s{64,}", b"\n", merged)
    if most_bytes is not None and len(merged) > most_bytes:
        merged = _merged(own, mark, ())
        said.append(f"its mark names no faces: the format holds {most_bytes} bytes of XMP data")
    return merged, said


def _merged(own: str | None, mark: Mark, boxes: Iterable[tuple[float, float, float, float]]) -> bytes:
    source = mark.source_type
    if own is None:
        return f'{_BEGIN}<rdf:RDF xmlns:rdf="{_RDF}">\n{_description(mark, boxes, source, about="")}{_END}'.encode()
    before = _value(own, IPTC, "DigitalSourceType")
    before = None if before is None else before.removeprefix(SOURCE_TYPES)
    source = before if before in _MADE_BY_MODELS and source not in _MADE_BY_MODELS else source
    source = before if before == "trainedAlgorithmicMedia" else source
    own = _without(own, IPTC, ("DigitalSourceType",))
    own = _without(own, OWN, _PROPERTIES)
    about = re.search(rf"<(?:{_prefixes(own, _RDF)}):Description\b[^>]*?\s[\w.-]+:about\s*=\s*(\"[^\"]*\"|'[^']*')", own)
    end = _end_of_rdf(own)
    assert end is not None, "checked when the XMP was read"
    said = _description(mark, boxes, source, about="" if about is None else about[1][1:-1])
    return (own[: end.start()] + said + own[end.start() :]).encode()


def _description(mark: Mark, boxes: Iterable[tuple[float, float, float, float]], source: str | None, *, about: str) -> str:
    """The properties of the mark as RDF; `about` is that of the photo's other properties, escaped already."""
    facts = {"Software": mark.software, "Method": mark.method, "Version": mark.version}
    lines = [f"  <gfpup:{name}>{escape(value)}</gfpup:{name}>" for name, value in facts.items() if value]
    if source:
        lines.insert(0, f"  <Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPES}{source}</Iptc4xmpExt:DigitalSourceType>")
    faces = [
        '   <rdf:li rdf:parseType="Resource">'
        + "".join(
            f"<gfpup:{name}>{value:.1f}</gfpup:{name}>" for name, value in zip(("X0", "Y0", "X1", "Y1"), box, strict=True)
        )
        + "</rdf:li>"
        for box in boxes
    ]
    if faces:
        lines += ["  <gfpup:Faces><rdf:Seq>", *faces, "  </rdf:Seq></gfpup:Faces>"]
    names = f'xmlns:rdf="{_RDF}" xmlns:Iptc4xmpExt="{IPTC}" xmlns:gfpup="{OWN}"'
    head = f'<rdf:Description {names} rdf:about="{about.replace(chr(34), "&quot;")}">'
    return "\n".join([head, *lines, "</rdf:Description>\n"])


def _text(xmp: bytes) -> str | None:
    """XMP as text; None where no property can be added to it."""
    encoding = next(
        (name for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")) if xmp.startswith(mark)), "utf-8"
    )
    try:
        text = xmp.decode(encoding).strip("\0")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # XMP has none, and entities can be made to fill the memory
            return None
        ElementTree.fromstring(text.lstrip("\ufeff"))
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError):
        return None
    return text if _end_of_rdf(text) is not None else None


def _end_of_rdf(text: str) -> re.Match[str] | None:
    prefixes = _prefixes(text, _RDF)
    return re.search(rf"</(?:{prefixes}):RDF\s*>", text) if prefixes else None


def _prefixes(text: str, namespace: str) -> str:
    """The prefixes that a namespace has in the text, as alternatives of a regular expression."""
    found = re.findall(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(namespace)}[\"']", text)
    return "|".join(re.escape(prefix) for prefix in dict.fromkeys(found))


def _value(text: str, namespace: str, name: str) -> str | None:
    """The value of a simple property: an attribute, the text of an element, or what it refers to."""
    prefixes = _prefixes(text, namespace)
    if not prefixes:
        return None
    tag = rf"(?:{prefixes}):{name}"
    patterns = (
        rf"\s{tag}\s*=\s*[\"']([^\"']*)[\"']",
        rf"<{tag}\s*>\s*([^<]*?)\s*</",
        rf"<{tag}\s[^>]*resource\s*=\s*[\"']([^\"']*)",
    )
    return next((found[1] for pattern in patterns if (found := re.search(pattern, text))), None)


def _without(text: str, namespace: str, names: Iterable[str]) -> str:
    """The text without these properties of a namespace, as attributes or as elements."""
    prefixes = _prefixes(text, namespace)
    for name in names if prefixes else ():
        tag = rf"(?:{prefixes}):{name}"
        text = re.sub(rf"\s{tag}\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)
        text = re.sub(rf"\s*<({tag})(?:\s[^>]*)?(?:/>|(?<!/)>.*?</\1\s*>)", "", text, flags=re.DOTALL)
    return text
