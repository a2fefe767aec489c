import zipfile
from pathlib import Path

from infra.engines.components import write_manifest_jar


def test_manifest_jar_lists_the_jars_beside_it_in_lines_that_java_reads(tmp_path: Path) -> None:
    names = [f"some-library-with-a-long-name-{number}.jar" for number in range(40)]
    for name in names:
        (tmp_path / name).touch()
    path = tmp_path / "all.jar"
    for _ in range(2):
        write_manifest_jar(path, main_class="org.example.Main")
    with zipfile.ZipFile(path) as jar:
        lines = jar.read("META-INF/MANIFEST.MF").decode().split("\r\n")
    assert max(map(len, lines)) <= 70
    joined = "\n".join(lines).replace("\n ", "").splitlines()
    assert "Main-Class: org.example.Main" in joined
    assert f"Class-Path: {' '.join(sorted(names))}" in joined
