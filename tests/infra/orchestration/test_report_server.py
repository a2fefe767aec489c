"""What browsers get, from a real server."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from infra.orchestration.report_server import ReportServer, served_root
from pipelines import storage
from pipelines.errors import ConfigError
from tasks.report import report_link

RUN = "runs/85e4908752c5721b"

Serve = Callable[..., str]


@contextmanager
def serving(*roots: str | Path, **limits: Any) -> Iterator[str]:
    """The address of a server of these roots."""
    known = [served_root(str(root)) for root in roots]
    with ReportServer(("127.0.0.1", 0), known, **limits) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server, which a run's process knows of."""
    with ExitStack() as stack:

        def start(*roots: str | Path, **limits: Any) -> str:
            url = stack.enter_context(serving(*roots, **limits))
            monkeypatch.setenv("NSYNTH_REPORTS_URL", url)
            return url

        yield start


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a report."""
    folder = tmp_path / "data"
    storage.put(str(folder / RUN / "report.html"), b"<h1>94 %</h1>")
    return folder


@pytest.mark.parametrize("folder", ["data", "data of 2026 #1"])
def test_link_leads_to_a_report_of_this_machine(folder: str, serve: Serve, tmp_path: Path) -> None:
    uri = str(tmp_path / folder / RUN / "report.html")
    storage.put(uri, b"<h1>94 %</h1>")
    serve(tmp_path / folder)
    answer = httpx.get(report_link(uri))
    assert (answer.status_code, answer.text) == (200, "<h1>94 %</h1>")
    policy = answer.headers["content-security-policy"]
    assert "script" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers


def test_link_leads_to_a_report_of_a_bucket(serve: Serve, bucket: str) -> None:
    uri = f"{bucket}/prefix/{RUN}/report.html"
    storage.put(uri, b"<h1>report</h1>")
    serve("/nowhere", f"{bucket}/prefix/")
    assert httpx.get(report_link(uri)).text == "<h1>report</h1>"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("report.md", "text/plain; charset=utf-8"), ("metrics.json", "application/json")],
)
def test_other_forms_of_a_report_are_served(
    name: str, kind: str, serve: Serve, tmp_path: Path
) -> None:
    uri = str(tmp_path / RUN / name)
    storage.put(uri, b"<b>94 %</b>")
    answer = httpx.get(f"{serve(tmp_path)}{uri}")
    assert (answer.status_code, answer.content) == (200, b"<b>94 %</b>")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("is_remote", [False, True])
def test_index_leads_to_the_reports(
    is_remote: bool, serve: Serve, bucket: str, tmp_path: Path
) -> None:
    root = f"{bucket}/root" if is_remote else str(tmp_path)
    index = f"{serve(root)}/{root.lstrip('/')}/index.html"
    storage.put(storage.join(root, "index.html"), b"<h1>runs</h1>")
    storage.put(storage.join(root, RUN, "report.html"), b"<h1>report</h1>")
    assert httpx.get(index).text == "<h1>runs</h1>"
    # As a browser joins them; Python's own takes `//` for a slip.
    assert httpx.get(index.replace("index.html", f"{RUN}/report.html")).text == "<h1>report</h1>"


def secret(folder: Path, name: str = "report.html") -> Path:
    """A file outside of the root, whose path looks like that of a report."""
    path = folder / "elsewhere" / RUN / name
    storage.put(str(path), b"sesame")
    return path


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{elsewhere}/{run}/report.html",
        "{root}/../elsewhere/{run}/report.html",
        "{root}/%2e%2e/elsewhere/{run}/report.html",
        "{root}2/{run}/report.html",
        "{root}/{run}/run.json",
        "{root}/{run}/report.html?version=1",
        "{root}/{run}/report.html/",
        "{root}/{run}/preliminary/metrics.json",
        "{root}/deeper/index.html",
        "/{run}/report.html",
        "/file://{elsewhere}/{run}/report.html",
        "/file://index.html",
        # Any protocol that fsspec knows, and its chains of them.
        "/{web}{elsewhere}/{run}/report.html",
        "/simplecache::file://{elsewhere}/{run}/report.html",
        "/zip://{run}/report.html::file://{elsewhere}/a.zip",
        "/{run}/report.html::file://{elsewhere}/index.html",
        "/memory://{run}/report.html",
        "/s3://bucket/{run}/report.html",
        "//{elsewhere}/{run}/report.html",
        "",
    ],
)
def test_nothing_else_is_served(path: str, serve: Serve, root: Path, tmp_path: Path) -> None:
    outside = secret(tmp_path)
    storage.put(str(root) + "2/" + f"{RUN}/report.html", b"sesame")
    storage.put(str(root / "deeper" / "index.html"), b"sesame")
    storage.put(str(root / RUN / "run.json"), b"sesame")
    with serving(tmp_path / "elsewhere") as web:
        assert httpx.get(f"{web}{outside}").text == "sesame"
        url = serve(root)
        path = path.format(root=root, elsewhere=tmp_path / "elsewhere", run=RUN, web=web)
        # httpx would tidy the path.
        status, page = ask(url, f"GET {path or '/'} HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert status == 404
    assert "sesame" not in page
    assert "NSYNTH_REPORT_ROOTS" in page


def ask(url: str, request: str) -> tuple[int, str]:
    """The status and all of the answer to a request as it is written here."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(2**16), b""))
    return int(answer.split()[1]), answer.decode()


@pytest.mark.parametrize("what", ["file", "run", "runs"])
def test_link_out_of_the_root_is_not_followed(what: str, serve: Serve, tmp_path: Path) -> None:
    outside = secret(tmp_path)
    root = tmp_path / "data"
    link = {"file": f"{RUN}/report.html", "run": RUN, "runs": "runs"}[what]
    target = {"file": outside, "run": outside.parent, "runs": outside.parents[1]}[what]
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(target)
    assert (root / RUN / "report.html").read_text() == "sesame"
    answer = httpx.get(f"{serve(root)}{root}/{RUN}/report.html")
    assert answer.status_code == 404
    assert "sesame" not in answer.text


def test_root_may_be_a_link_and_links_may_stay_within_it(
    serve: Serve, root: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    other = "runs/0000000000000000"
    (root / other).symlink_to(root / RUN)
    url = serve(link)
    for run in (RUN, other):
        assert httpx.get(f"{url}{link}/{run}/report.html").text == "<h1>94 %</h1>"


def test_what_is_no_file_is_not_waited_for(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / RUN).mkdir(parents=True)
    os.mkfifo(tmp_path / RUN / "report.html")
    assert httpx.get(f"{serve(tmp_path)}{tmp_path}/{RUN}/report.html").status_code == 404


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8000", 200),
        ("attacker.example:{port}", 421),
        ("127.0.0.1.attacker.example", 421),
        ("localhost@attacker.example", 421),
        ("attacker.example#127.0.0.1", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_machine_lead_here(
    host: str, expected: int, serve: Serve, root: Path
) -> None:
    url = serve(root)
    line = f"Host: {host.format(port=url.rpartition(':')[2])}\r\n" if host else ""
    status, page = ask(url, f"GET {root}/{RUN}/report.html HTTP/1.0\r\n{line}\r\n")
    assert status == expected
    assert ("94 %" in page) == (expected == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_get_is_answered(method: str, serve: Serve, root: Path) -> None:
    answer = httpx.request(method, f"{serve(root)}{root}/{RUN}/report.html")
    assert answer.status_code == 501
    assert "access-control-allow-origin" not in answer.headers


def test_silent_connections_give_their_places_back(serve: Serve, root: Path) -> None:
    url = serve(root, num_connections=2, idle_sec=0.5)
    host, _, port = url.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(socket.create_connection((host, int(port))))
        answer = httpx.get(f"{url}{root}/{RUN}/report.html", timeout=60)
    assert answer.status_code == 200


def test_dripping_connection_is_cut_at_the_deadline(serve: Serve, root: Path) -> None:
    url = serve(root, deadline_sec=0.5)
    host, _, port = url.removeprefix("http://").partition(":")
    with (
        socket.create_connection((host, int(port))) as connection,
        pytest.raises((BrokenPipeError, ConnectionResetError)),
    ):
        drip(connection)


def drip(connection: socket.socket) -> None:
    """Sends one header that never ends."""
    connection.sendall(b"GET / HTTP/1.0\r\nX: ")
    for _ in range(3000):
        connection.sendall(b"x")
        time.sleep(0.02)


def test_reader_that_reads_nothing_is_cut_at_the_deadline(serve: Serve, root: Path) -> None:
    storage.put(str(root / RUN / "report.md"), bytes(2**26))
    url = serve(root, deadline_sec=0.5, num_connections=1)
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        path = f"{root}/{RUN}/report.md"
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        # It waits for the place of the one that reads nothing.
        assert httpx.get(f"{url}{root}/{RUN}/report.html", timeout=60).is_success


@pytest.mark.parametrize(
    "root",
    [
        "http://127.0.0.1/data",
        "HTTPS://example.org/data",
        "simplecache::s3://bucket/data",
        "zip://data::/srv/runs.zip",
        "s3://bucket/data?versionId=1",
        "s3://key:sesame@bucket/data",
    ],
)
def test_root_that_is_no_plain_place_is_refused(root: str) -> None:
    with pytest.raises(ConfigError) as refused:
        served_root(root)
    assert "sesame" not in str(refused.value)


def test_link_is_the_place_itself_where_no_reports_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NSYNTH_REPORTS_URL", raising=False)
    assert report_link("/data/report.html") == "/data/report.html"
