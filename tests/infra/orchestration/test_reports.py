"""What browsers get, from a real server."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from infra.orchestration.reports import Reports
from pipelines import storage
from tasks.summary import report_link

RUN = "runs/85e4908752c5721b"


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Reports) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def known(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run's process knows of it."""
    monkeypatch.setenv("NSYNTH_REPORTS_URL", served)


@pytest.mark.parametrize("folder", ["data", "data of 2026 #1"])
def test_link_leads_to_a_report_of_this_machine(folder: str, tmp_path: Path) -> None:
    uri = str(tmp_path / folder / RUN / "report.html")
    storage.put(uri, b"<h1>94 %</h1>")
    answer = httpx.get(report_link(uri))
    assert (answer.status_code, answer.text) == (200, "<h1>94 %</h1>")
    assert "script" not in answer.headers["content-security-policy"]


def test_link_leads_to_a_report_of_a_bucket(bucket: str) -> None:
    uri = f"{bucket}/prefix/{RUN}/report.html"
    storage.put(uri, b"<h1>report</h1>")
    assert httpx.get(report_link(uri)).text == "<h1>report</h1>"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("report.md", "text/plain; charset=utf-8"), ("metrics.json", "application/json")],
)
def test_other_forms_of_a_report_are_served(
    name: str, kind: str, served: str, tmp_path: Path
) -> None:
    uri = str(tmp_path / RUN / name)
    storage.put(uri, b"<b>94 %</b>")
    answer = httpx.get(f"{served}{uri}")
    assert (answer.status_code, answer.content) == (200, b"<b>94 %</b>")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("is_remote", [False, True])
def test_index_is_served_where_it_is_of_runs(
    is_remote: bool, served: str, bucket: str, tmp_path: Path
) -> None:
    root = f"{bucket}/root" if is_remote else str(tmp_path)
    index = f"{served}/{root.lstrip('/')}/index.html"
    storage.put(storage.join(root, "index.html"), b"<h1>runs</h1>")
    assert httpx.get(index).status_code == 404
    storage.put(storage.join(root, RUN, "report.html"), b"<h1>report</h1>")
    assert httpx.get(index).text == "<h1>runs</h1>"
    # As a browser joins them; Python's own takes `//` for a slip.
    assert httpx.get(index.replace("index.html", f"{RUN}/report.html")).text == "<h1>report</h1>"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        f"/{RUN}/report.html/../../../etc/passwd",
        f"/nowhere/{RUN}/report.html",
        f"/nowhere/{RUN}/run.json",
        f"/nowhere/{RUN}/preliminary/metrics.json",
        "/nowhere/index.html",
        "/etc/passwd/../index.html",
        "",
    ],
)
def test_nothing_else_is_served(path: str, served: str) -> None:
    assert httpx.get(f"{served}{path}").status_code == 404


def test_link_is_the_place_itself_where_no_reports_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NSYNTH_REPORTS_URL")
    assert report_link("/data/report.html") == "/data/report.html"
