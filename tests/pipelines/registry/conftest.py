"""Roots of a registry: a folder, and a bucket of a real S3 server."""

from pathlib import Path

import pytest


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty root of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return str(tmp_path)
