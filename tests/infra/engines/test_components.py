"""What decides whether something is installed; the installations are those of tests/engines."""

import zipfile
from pathlib import Path

import pytest

from infra.engines import __main__ as installer
from infra.engines.components import Part, write_manifest_jar


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("NSYNTH_ENGINES", str(tmp_path / "engines"))
    return []


def offer(monkeypatch: pytest.MonkeyPatch, made: list[str], **parts: tuple[str, str]) -> None:
    """Offers parts by name, each with a program that it needs and its pins."""
    offered = [
        Part(name, "a part", (needs,), pins, lambda name=name: made.append(name))  # type: ignore[misc]
        for name, (needs, pins) in parts.items()
    ]
    monkeypatch.setattr(installer, "parts", lambda: offered)


def test_main_installs_once_and_again_with_other_pins(
    made: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for pins in ("1", "1", "2"):
        offer(monkeypatch, made, one=("sh", pins), one_more=("sh", "1"))
        assert installer.main([]) == 0
    assert made == ["one", "one_more", "one"]
    assert "one: is there\none_more: is there" in capsys.readouterr().out


def test_main_leaves_out_what_cannot_be_installed_here_and_says_why(
    made: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, made, one=("no-such-program", "1"), two=("sh", "1"))
    assert installer.main([]) == 0
    assert made == ["two"]
    assert "one: skipped, there is no program no-such-program" in capsys.readouterr().out


def test_main_tries_again_what_failed_and_ends_with_its_words(
    made: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(installer, "_WAITS_SEC", (0.0, 0.0))
    failures = ["first", "second", "third", "fourth"]

    def fails_so_often(number: int) -> Part:
        def install() -> None:
            if len(failures) > number:
                raise OSError(failures.pop(0))

        return Part("one", "a part", (), str(number), install)

    monkeypatch.setattr(installer, "parts", lambda: [fails_so_often(2)])
    assert installer.main([]) == 0
    assert "first; trying again in 0 s\nsecond; trying again" in capsys.readouterr().err
    failures += ["fifth", "sixth"]
    monkeypatch.setattr(installer, "parts", lambda: [fails_so_often(0)])
    assert installer.main([]) == 1
    assert "one: failed: fifth" in capsys.readouterr().err


def test_main_refuses_a_name_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert installer.main(["prsim"]) == 2
    assert "there is no part 'prsim'; choose among prism, boot, " in capsys.readouterr().err


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
