from pathlib import Path

from tests.infra.dockerfile import stages


def test_stages_begin_with_those_they_are_from(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("# why\nFROM a:1 AS b\nRUN one && \\\n    two\n\nFROM b AS c\nUSER d\n")
    first = [("FROM", "a:1 AS b"), ("RUN", "one && two")]
    assert stages(path) == {"b": first, "c": [*first, ("FROM", "b AS c"), ("USER", "d")]}
