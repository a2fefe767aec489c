import pytest

from pipelines.report.runs.links import relative_link


@pytest.mark.parametrize(
    ("page", "target", "link"),
    [
        ("/data/page.html", "/data/runs/a/report.html", "runs/a/report.html"),
        ("/pages/x/page.html", "/data/report.html", "../../data/report.html"),
        ("s3://bucket/root/page.html", "s3://bucket/root/runs/a/r.html", "runs/a/r.html"),
        ("s3://bucket/pages/page.html", "s3://bucket/root/r.html", "../root/r.html"),
        ("s3://other/page.html", "s3://bucket/r.html", ""),
        ("/data/page.html", "s3://bucket/r.html", ""),
        ("s3://bucket/page.html", "/data/r.html", ""),
    ],
)
def test_relative_link_goes_with_the_folder(page: str, target: str, link: str) -> None:
    assert relative_link(page, target) == link
