"""The mark of restored photos, read back by readers that are not gfpup's, and what a photo's own XMP has to do with it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gfpup.core.types import Mark, Metadata
from gfpup.models.table import COMPUTED, TRAINED
from gfpup.photos import WriteOptions, encode, read_photo, write_photo
from gfpup.photos.mark import IPTC, OWN, SOURCE_TYPES, with_mark

PIXELS = np.zeros((16, 24, 3), np.uint8)
BOXES = ((1.0, 2.0, 11.5, 12.0), (3.0, 4.0, 8.0, 9.0))
MARK = Mark(TRAINED, "gfpup 9.9", "gfpgan", "1.4", BOXES)
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC, XAP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/xap/1.0/"
OWN_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF[1:-1]}">
 <rdf:Description rdf:about="uuid:1&amp;2" xmlns:xmp="{XAP}" xmlns:dc="{DC}" xmp:CreatorTool="Scanner &amp; Co">
  <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Gr\u00fc\u00dfe</rdf:li></rdf:Alt></dc:title>
 </rdf:Description>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def properties(xmp: bytes) -> dict[str, Any]:
    """The properties by their name with namespace, as ElementTree reads them; all descriptions must be of one photo."""
    descriptions = ElementTree.fromstring(xmp.decode().lstrip("\ufeff")).findall(f".//{RDF}RDF/{RDF}Description")
    assert len({description.get(f"{RDF}about") for description in descriptions}) == 1
    found: dict[str, Any] = {}
    for description in descriptions:
        pairs = [(k, v) for k, v in description.attrib.items() if not k.startswith(RDF)]
        pairs += [
            (child.tag, child.text or [[float(x.text or 0) for x in li] for li in child.iter(f"{RDF}li")])
            for child in description
        ]
        for name, value in pairs:
            assert name not in found, f"{name} stands there twice"
            found[name] = value
    return found


@pytest.mark.parametrize("ext", ["jpg", "png", "webp", "tif", "avif"])
def test_independent_readers_find_the_mark(tmp_path: Path, ext: str) -> None:
    path = tmp_path / f"a.{ext}"
    assert write_photo(path, PIXELS, alpha=None, metadata=Metadata("JPEG", xmp=OWN_XMP), mark=MARK) == ()
    xmp = read_photo(path).metadata.xmp
    assert xmp is not None
    found = properties(xmp)
    assert found[f"{{{IPTC}}}DigitalSourceType"] == SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
    assert (found[f"{{{OWN}}}Method"], found[f"{{{OWN}}}Version"]) == ("gfpgan", "1.4")
    assert found[f"{{{OWN}}}Faces"] == [list(box) for box in BOXES]
    assert found[f"{{{XAP}}}CreatorTool"] == "Scanner & Co" and f"{{{DC}}}title" in found


def test_pillow_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("defusedxml", reason="Pillow parses XMP with it")
    write_photo(tmp_path / "a.jpg", PIXELS, alpha=None, metadata=Metadata("JPEG"), mark=MARK)
    with Image.open(tmp_path / "a.jpg") as image:
        said = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert said["DigitalSourceType"] == SOURCE_TYPES + TRAINED and said["Software"] == "gfpup 9.9"
    assert [float(face["X1"]) for face in said["Faces"]["Seq"]["li"]] == [11.5, 8.0]


@pytest.mark.parametrize("ext", ["jpg", "png", "webp", "tif"])
def test_exiv2_reads_it_beside_the_photos_own(tmp_path: Path, ext: str) -> None:
    pyexiv2 = pytest.importorskip("pyexiv2", reason="it brings the library that most photo programs read XMP with")
    path = tmp_path / f"a.{ext}"
    write_photo(path, PIXELS, alpha=None, metadata=Metadata("JPEG", xmp=OWN_XMP), mark=MARK)
    with pyexiv2.Image(str(path)) as image:
        said = image.read_xmp()
    assert said["Xmp.iptcExt.DigitalSourceType"] == SOURCE_TYPES + TRAINED
    assert said["Xmp.xmp.CreatorTool"] == "Scanner & Co"
    assert {"gfpgan", "1.4", "gfpup 9.9"} <= {value for value in said.values() if isinstance(value, str)}


def test_the_photos_own_xmp_stays_byte_by_byte() -> None:
    marked, said = with_mark(OWN_XMP, MARK)
    at = next(i for i, (a, b) in enumerate(zip(OWN_XMP, marked, strict=False)) if a != b)
    assert said == [] and OWN_XMP[:at] + OWN_XMP[at:] == marked[:at] + marked[len(marked) - len(OWN_XMP) + at :]


def test_a_photo_restored_again_has_one_mark_the_last_one() -> None:
    first, _ = with_mark(OWN_XMP, MARK)
    again, _ = with_mark(first, Mark(TRAINED, "gfpup 9.9", "codeformer"))
    found = properties(again)
    assert found[f"{{{OWN}}}Method"] == "codeformer" and f"{{{OWN}}}Faces" not in found
    assert with_mark(again, Mark(TRAINED, "gfpup 9.9", "codeformer"))[0].count(b"codeformer") == 1


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        ("digitalCapture", TRAINED, TRAINED),
        ("digitalCapture", COMPUTED, COMPUTED),
        (TRAINED, COMPUTED, TRAINED),
        ("trainedAlgorithmicMedia", TRAINED, "trainedAlgorithmicMedia"),
    ],
)
@pytest.mark.parametrize("form", ["attribute", "element", "resource"])
def test_what_a_model_made_stays_marked_as_such(before: str, now: str, after: str, form: str) -> None:
    name, value = "other:DigitalSourceType", SOURCE_TYPES + before
    forms = {"attribute": (f' {name}="{value}"', ""), "element": ("", f"<{name}>{value}</{name}>")}
    attribute, element = forms.get(form, ("", f'<{name} rdf:resource="{value}"/>'))
    xmp = OWN_XMP.replace(b" xmlns:dc", f' xmlns:other="{IPTC}"{attribute} xmlns:dc'.encode())
    xmp = xmp.replace(b"<dc:title>", f"{element}<dc:title>".encode())
    marked, _ = with_mark(xmp, Mark(now, "gfpup 9.9", "it"))
    assert properties(marked)[f"{{{IPTC}}}DigitalSourceType"] == SOURCE_TYPES + after


def test_xmp_that_cannot_be_read_is_replaced_and_said() -> None:
    for broken in (
        b"<x:xmpmeta",
        b"<a/>",
        b"\xff\x00",
        OWN_XMP.replace(b"<x:xmpmeta", b"<!DOCTYPE a [<!ENTITY b 'c'>]><x:xmpmeta"),
    ):
        marked, said = with_mark(broken, MARK)
        assert len(said) == 1 and "cannot be read" in said[0]
        assert properties(marked)[f"{{{OWN}}}Method"] == "gfpgan"


def test_padding_and_then_faces_go_where_a_jpeg_has_no_room(tmp_path: Path) -> None:
    padded = OWN_XMP.replace(b"<?xpacket end", b" " * 64_000 + b"<?xpacket end")
    data, said = encode("JPEG", PIXELS, alpha=None, metadata=Metadata("JPEG", xmp=padded), mark=MARK)
    with Image.open(io.BytesIO(data)) as image:
        assert said == () and f"{{{OWN}}}Faces" in properties(image.info["xmp"])
    crowd = Mark(TRAINED, "gfpup 9.9", "gfpgan", "1.4", BOXES * 1000)
    data, (warning,) = encode("JPEG", PIXELS, alpha=None, metadata=Metadata("JPEG"), mark=crowd)
    with Image.open(io.BytesIO(data)) as image:
        assert "names no faces" in warning and f"{{{OWN}}}Faces" not in properties(image.info["xmp"])


def test_it_is_there_without_other_metadata_and_named_where_it_cannot_be(tmp_path: Path) -> None:
    metadata, bare = Metadata("JPEG", xmp=OWN_XMP), WriteOptions(keep_metadata=False)
    write_photo(tmp_path / "a.png", PIXELS, alpha=None, metadata=metadata, options=bare, mark=MARK)
    xmp = read_photo(tmp_path / "a.png").metadata.xmp
    assert xmp is not None and f"{{{XAP}}}CreatorTool" not in properties(xmp)
    (warning,) = write_photo(tmp_path / "a.bmp", PIXELS, alpha=None, metadata=Metadata("BMP"), mark=MARK)
    assert "BMP holds no XMP" in warning


def test_the_same_mark_gives_the_same_bytes() -> None:
    one, other = (encode("PNG", PIXELS, alpha=None, metadata=Metadata("PNG", xmp=OWN_XMP), mark=MARK)[0] for _ in range(2))
    assert one == other
