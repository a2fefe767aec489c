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


@pytest.mark.parametrize("name", ["NSYNTH_ROOT", "NSYNTH_TRAIN", "NSYNTH_TEST"])
def test_settings_refuse_credentials_before_the_server_stores_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "https://host/x.tfrecord?token=hunter2")
    with pytest.raises(ConfigError, match="location holds credentials") as raised:
        settings()
    assert "hunter2" not in str(raised.value)


def test_settings_do_not_show_the_password_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSYNTH_DATABASE", "postgresql+asyncpg://prefect:sesame@host/prefect")
    assert settings().database.endswith("host/prefect")
    assert "sesame" not in repr(settings())
