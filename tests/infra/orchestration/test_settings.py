import pytest

from infra.orchestration.settings import CHECKOUT, settings
from pipelines.errors import ConfigError

NAMES = ("STATE", "PORT", "DATABASE", "ROOT", "TRAIN", "TEST")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"NSYNTH_{name}", raising=False)


def test_settings_keep_to_this_machine_and_an_ignored_folder() -> None:
    assert settings().api_url == "http://127.0.0.1:4200/api"
    assert settings().state == CHECKOUT / ".orchestration"
    assert "/.orchestration/" in (CHECKOUT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "80"),
        ("PORT", "65535"),
        ("DATABASE", "mysql://root:sesame@host/prefect"),
    ],
)
def test_settings_refuse_in_a_sentence(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NSYNTH_{name}", value)
    with pytest.raises(ConfigError, match=f"NSYNTH_{name} must") as caught:
        settings()
    assert "sesame" not in str(caught.value)


def test_settings_do_not_show_the_password_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSYNTH_DATABASE", "postgresql+asyncpg://prefect:sesame@host/prefect")
    assert settings().database.endswith("host/prefect")
    assert "sesame" not in repr(settings())
