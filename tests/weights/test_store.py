"""The store against a server on loopback that truncates, stalls, lies, refuses and sends other bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import http.server
import json
import multiprocessing
import os
import random
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gfpup.core.errors import CheckpointError, LicenceError, OutputError
from gfpup.weights import catalogue, download, store
from gfpup.weights.store import Store

CONTENT = random.Random(17).randbytes(700_001)
SHA = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(18).randbytes(700_001)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` under every path; `tricks` are used up one a request, then it behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.ranges = True
        self.tricks: list[Callable[[Handler], None]] = []
        self.requests: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        trick = self.server.tricks.pop(0) if self.server.tricks else Handler.serve
        with contextlib.suppress(ConnectionError):
            trick(self)

    def serve(self, *, upto: int | None = None, length: int | None = None) -> None:
        content, start = self.server.content, 0
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if asked and self.server.ranges and condition in (None, self.server.etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(length if length is not None else len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:upto])
        self.wfile.flush()


def truncate(at: int) -> Callable[[Handler], None]:
    return lambda handler: handler.serve(upto=at)


def stall(at: int) -> Callable[[Handler], None]:
    def trick(handler: Handler) -> None:
        handler.serve(upto=at)
        handler.server.released.wait(20)

    return trick


def answer(status: int) -> Callable[[Handler], None]:
    return lambda handler: handler.send_error(status)


def lie(length: int) -> Callable[[Handler], None]:
    return lambda handler: handler.serve(length=length)


def send_other(content: bytes) -> Callable[[Handler], None]:
    def trick(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return trick


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT + CONTENT)


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def broken_range(handler: Handler) -> None:
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield served
        served.released.set()
        served.shutdown()
        thread.join()


def table(url: str, *, sha256: str | None = SHA, size: int | None = None, name: str = "bisenet") -> tuple[Any, ...]:
    """The catalogue with one entry of the server's small file."""
    return tuple(
        dataclasses.replace(c, url=f"{url}/{c.file}", sha256=sha256, size_bytes=size) if c.name == name else c
        for c in catalogue.CATALOGUE
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    for variable in ("GFPUP_ACCEPT_LICENCES", "GFPUP_WEIGHTS_URL", "GFPUP_WEIGHTS_DIR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def apply(url: str, **changes: Any) -> None:
        entries = table(url, **changes)
        monkeypatch.setattr(catalogue, "CATALOGUE", entries)
        monkeypatch.setattr(store, "CATALOGUE", entries)

    return apply


def refused(action: Callable[[], object], kind: type[Exception] = CheckpointError) -> str:
    with pytest.raises(kind) as error:
        action()
    text = str(error.value)
    assert "\n" not in text
    return text


def files(folder: Path) -> set[str]:
    """What stands in the folder under a name that a reader could take for a checkpoint."""
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")} - {"hashes.json"} if folder.exists() else set()


def test_fetches_once_and_remembers_the_hash(server: Server, use: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(server.url, size=len(CONTENT))
    seen: list[tuple[int, int | None]] = []
    path = Store(tmp_path / "w").ensure("bisenet", progress=lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "w" / "parsing_bisenet.pth" and path.read_bytes() == CONTENT
    assert files(path.parent) == {"parsing_bisenet.pth"}
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)
    monkeypatch.setattr("gfpup.core.files.sha256_of", lambda _: pytest.fail("hashed again"))
    again = Store(tmp_path / "w", offline=True)
    assert again.ensure("bisenet") == path and len(server.requests) == 1
    assert {s.checkpoint.name: s.state for s in again.listing() if s.path} == {"bisenet": "verified"}


@pytest.mark.parametrize("known_size", [None, len(CONTENT)])
@pytest.mark.parametrize(
    ("tricks", "ranges"),
    [
        ([truncate(300_000)], ["bytes=300000-"]),
        ([truncate(100_000), truncate(400_000)], ["bytes=100000-", "bytes=400000-"]),
        ([stall(200_000)], ["bytes=200000-"]),
        ([answer(503), answer(429)], [None, None]),
        ([hang_up], [None]),
        ([truncate(1000), broken_range], ["bytes=1000-", None]),
    ],
)
def test_gets_there_in_spite_of(
    server: Server, use: Any, tmp_path: Path, tricks: list[Any], ranges: list[str | None], known_size: int | None
) -> None:
    use(server.url, size=known_size)
    server.tricks = list(tricks)
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, *ranges]
    assert files(tmp_path) == {"parsing_bisenet.pth"}


def test_server_that_ignores_ranges_starts_over(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url)
    server.ranges = False
    server.tricks = [truncate(300_000)]
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT


def test_file_that_changed_meanwhile_is_not_glued(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url)
    server.content = OTHER

    def change(handler: Handler) -> None:
        handler.serve(upto=300_000)
        server.content, server.etag = CONTENT, '"two"'

    server.tricks = [change]
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT


@pytest.mark.parametrize("have", [CONTENT[:123_456], OTHER[:123_456], CONTENT, OTHER + b"more"])
def test_goes_on_from_the_part_of_an_earlier_run(server: Server, use: Any, tmp_path: Path, have: bytes) -> None:
    """Whatever lies there (right, of another file, complete, too long), the result is right."""
    use(server.url)
    (tmp_path / "parsing_bisenet.pth.part").write_bytes(have)
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT
    assert server.requests[0][1] == f"bytes={len(have)}-"
    assert files(tmp_path) == {"parsing_bisenet.pth"}


def test_part_without_hash_or_validator_is_not_trusted(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, sha256=None)
    (tmp_path / "parsing_bisenet.pth.part").write_bytes(OTHER[:1000])
    assert Store(tmp_path, trust_first_download=True).ensure("bisenet").read_bytes() == CONTENT
    assert server.requests[0][1] is None


@pytest.mark.parametrize(
    ("trick", "said"),
    [
        (answer(403), "answers 403"),
        (answer(404), "answers 404"),
        (answer(500), "answers 500"),
        (truncate(0), "stopped after 0 of 700001 bytes"),
        (stall(0), "sent nothing for 0.5 s"),
        (lie(len(CONTENT) + 10), "stopped after"),
        (lie(1000), "SHA-256"),
        (send_other(OTHER), hashlib.sha256(OTHER).hexdigest()),
        (send_other(b"<!DOCTYPE html><p>Sign in"), "a web page"),
        (hang_up, "broke the connection"),
    ],
)
def test_gives_up_in_one_sentence(server: Server, use: Any, tmp_path: Path, trick: Any, said: str) -> None:
    use(server.url)
    server.ranges = False
    server.tricks = [trick] * 50
    text = refused(lambda: Store(tmp_path).ensure("bisenet"))
    assert said in text
    for needed in ("parsing_bisenet.pth", f"{server.url}/parsing_bisenet.pth", SHA, str(tmp_path / "parsing_bisenet.pth")):
        assert needed in text
    assert not (tmp_path / "parsing_bisenet.pth").exists()
    assert len(server.requests) <= download.RETRIES + 1


def test_wrong_bytes_leave_nothing(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url)
    server.content = OTHER
    text = refused(lambda: Store(tmp_path).ensure("bisenet"))
    assert SHA in text and hashlib.sha256(OTHER).hexdigest() in text
    assert files(tmp_path) == set()


def test_another_size_is_refused_before_it_is_fetched(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, size=len(CONTENT) + 5)
    assert "offers 700001 bytes where the published file has 700006" in refused(lambda: Store(tmp_path).ensure("bisenet"))


def test_more_than_promised_is_refused(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, size=len(CONTENT))
    server.tricks = [endless]
    assert "sends more than" in refused(lambda: Store(tmp_path).ensure("bisenet"))


def test_mirrors_come_first_and_the_official_address_last(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url + "/official")
    server.tricks = [answer(403), answer(404)]
    mirrors = (server.url + "/a/", server.url + "/b")
    assert Store(tmp_path, mirrors=mirrors).ensure("bisenet").read_bytes() == CONTENT
    paths = [f"/files/{at}/parsing_bisenet.pth" for at in ("a", "b", "official")]
    assert [path for path, _ in server.requests] == paths


def test_mirror_names_are_quoted(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, name="restoreformerpp")
    path = Store(tmp_path, mirrors=(server.url,)).ensure("restoreformerpp")
    assert path.name == "RestoreFormer++.ckpt" and server.requests[0][0] == "/files/RestoreFormer%2B%2B.ckpt"


@pytest.mark.parametrize("as_uri", [True, False])
def test_a_folder_is_a_mirror(use: Any, tmp_path: Path, as_uri: bool) -> None:
    use("http://127.0.0.1:9/files")
    mirror = tmp_path / "on disk"
    mirror.mkdir()
    (mirror / "parsing_bisenet.pth").write_bytes(CONTENT)
    given = mirror.as_uri() if as_uri else str(mirror)
    assert Store(tmp_path / "w", mirrors=(given,)).ensure("bisenet").read_bytes() == CONTENT


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    assert "ftp://x" in refused(lambda: Store(tmp_path, mirrors=("ftp://x",)))


def test_no_network_says_what_to_do(use: Any, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        use(url)
        text = refused(lambda: Store(tmp_path / "w").ensure("bisenet"))
    for needed in ("parsing_bisenet.pth", f"{url}/parsing_bisenet.pth", SHA, str(tmp_path / "w"), "cannot be reached"):
        assert needed in text
    assert files(tmp_path / "w") == set()


def test_offline_touches_nothing(tmp_path: Path) -> None:
    entry = catalogue.find("gfpgan-v1.4")
    text = refused(lambda: Store(tmp_path / "w", offline=True).ensure("gfpgan-v1.4"))
    for needed in (entry.file, entry.url, str(entry.sha256), str(tmp_path / "w" / entry.file), "--no-download"):
        assert needed in text
    assert not (tmp_path / "w").exists()
    assert Store(tmp_path / "w", offline=True).missing("gfpgan-v1.4") == text
    assert "is not there yet" in (Store(tmp_path / "w").missing("gfpgan-v1.4") or "")


def test_consent_comes_before_the_download(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, name="codeformer")
    assert "--accept-licence s-lab-1.0" in refused(lambda: Store(tmp_path).ensure("codeformer"), LicenceError)
    assert "--accept-licence s-lab-1.0" in (Store(tmp_path).missing("codeformer") or "")
    assert server.requests == []
    assert Store(tmp_path, accepted=["s-lab-1.0"]).ensure("codeformer").read_bytes() == CONTENT


def test_first_download_is_trusted_by_consent_and_pinned(server: Server, use: Any, tmp_path: Path) -> None:
    use(server.url, sha256=None)
    assert "--trust-first-download" in refused(lambda: Store(tmp_path).ensure("bisenet"))
    assert server.requests == []
    path = Store(tmp_path, trust_first_download=True).ensure("bisenet")
    assert Store(tmp_path).ensure("bisenet") == path  # the consent is needed once
    assert Store(tmp_path).verify("bisenet").state == "pinned"
    path.unlink()
    server.content = OTHER
    text = refused(lambda: Store(tmp_path, trust_first_download=True).ensure("bisenet"))
    assert SHA in text and hashlib.sha256(OTHER).hexdigest() in text
    path.write_bytes(OTHER)
    assert "first trusted" in refused(lambda: Store(tmp_path, trust_first_download=True).ensure("bisenet"))
    server.content = CONTENT
    path.unlink()
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_verified(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9")
    path = tmp_path / "parsing_bisenet.pth"
    path.write_bytes(OTHER)
    keeper = Store(tmp_path, offline=True)
    text = refused(lambda: keeper.ensure("bisenet"))
    assert SHA in text and hashlib.sha256(OTHER).hexdigest() in text and path.exists()
    assert keeper.verify("bisenet").state == "differs" and keeper.verify("parsenet").state == "absent"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(1, 1))
    assert keeper.ensure("bisenet") == path and keeper.verify("bisenet").found == SHA


def test_verify_reads_the_file_anew(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9")
    path = tmp_path / "parsing_bisenet.pth"
    path.write_bytes(CONTENT)
    keeper = Store(tmp_path, offline=True)
    keeper.ensure("bisenet")
    times = path.stat()
    path.write_bytes(OTHER)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    keeper.ensure("bisenet")  # same size and time: the remembered hash stands
    assert keeper.verify("bisenet").state == "differs"
    assert "instead of" in refused(lambda: keeper.ensure("bisenet"))


def test_import_by_hash_whatever_the_name(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9")
    given = tmp_path / "from a friend.bin"
    given.write_bytes(CONTENT)
    keeper = Store(tmp_path / "w", offline=True)
    assert keeper.import_file(given).name == "bisenet"
    assert keeper.ensure("bisenet").read_bytes() == CONTENT and given.exists()
    assert files(tmp_path / "w") == {"parsing_bisenet.pth"}
    assert keeper.import_file(keeper.path("bisenet")).name == "bisenet"  # from the folder itself: nothing to copy
    given.write_bytes(OTHER)
    assert "is not a known checkpoint" in refused(lambda: keeper.import_file(given))
    wrong = tmp_path / "parsing_bisenet.pth"
    wrong.write_bytes(OTHER)
    assert SHA in refused(lambda: keeper.import_file(wrong))
    assert keeper.ensure("bisenet").read_bytes() == CONTENT
    assert "cannot be read" in refused(lambda: keeper.import_file(tmp_path / "none.pth"))


def test_import_without_a_published_hash(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9", sha256=None)
    given = tmp_path / "parsing_bisenet.pth"
    given.write_bytes(CONTENT)
    assert "--trust-first-download" in refused(lambda: Store(tmp_path / "w").import_file(given))
    assert Store(tmp_path / "w", trust_first_download=True).import_file(given).name == "bisenet"
    assert Store(tmp_path / "w", offline=True).ensure("bisenet").read_bytes() == CONTENT
    given.write_bytes(OTHER)
    assert "first trusted" in refused(lambda: Store(tmp_path / "w", trust_first_download=True).import_file(given))


def test_full_disk(server: Server, use: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(server.url, size=len(CONTENT))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(download.os, "fsync", full)
        assert "No space left" in refused(lambda: Store(tmp_path).ensure("bisenet"), OutputError)
    assert files(tmp_path) == set()
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "disk_usage", lambda _: usage)
        assert "make room" in refused(lambda: Store(tmp_path).ensure("bisenet"), OutputError)
    assert len(server.requests) == 1  # the second was refused before it asked
    assert Store(tmp_path).ensure("bisenet").read_bytes() == CONTENT


def test_folder_that_cannot_be_made(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9")
    (tmp_path / "w").write_text("a file")
    assert "--weights-dir" in refused(lambda: Store(tmp_path / "w").ensure("bisenet"), OutputError)


@pytest.mark.parametrize("content", ["{", "[]", '{"pinned": 1}'])
def test_damaged_memory_is_said_and_not_dropped(use: Any, tmp_path: Path, content: str) -> None:
    use("http://127.0.0.1:9")
    (tmp_path / "hashes.json").write_text(content)
    (tmp_path / "parsing_bisenet.pth").write_bytes(CONTENT)
    assert "delete the file" in refused(lambda: Store(tmp_path).ensure("bisenet"))


def test_memory_is_plain_json(use: Any, tmp_path: Path) -> None:
    use("http://127.0.0.1:9")
    (tmp_path / "parsing_bisenet.pth").write_bytes(CONTENT)
    outside = tmp_path / "elsewhere" / "mine.pth"
    outside.parent.mkdir()
    outside.write_bytes(OTHER)
    keeper = Store(tmp_path)
    keeper.ensure("bisenet")
    assert keeper.digest(outside) == hashlib.sha256(OTHER).hexdigest()
    remembered = json.loads((tmp_path / "hashes.json").read_text())["files"]
    assert remembered["parsing_bisenet.pth"]["sha256"] == SHA and outside.as_posix() in remembered


def fetch_in_a_process(url: str, folder: str, barrier: Any, results: Any) -> None:
    entries = table(url)
    catalogue.CATALOGUE = store.CATALOGUE = entries
    barrier.wait(60)
    results.put(hashlib.sha256(Store(Path(folder)).ensure("bisenet").read_bytes()).hexdigest())


def test_concurrent_processes_fetch_once(server: Server, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    arguments = (server.url, str(tmp_path / "w"), barrier, results)
    workers = [context.Process(target=fetch_in_a_process, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [SHA] * 3
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert len(server.requests) == 1
    assert files(tmp_path / "w") == {"parsing_bisenet.pth"}


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store.default_folder().parts[-2:] == ("gfpup", "weights") and store.mirrors_from_environment() == ()
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("GFPUP_WEIGHTS_URL", "http://a/x, http://b ,")
    assert store.default_folder() == tmp_path
    assert store.mirrors_from_environment() == ("http://a/x", "http://b")
