import pytest

from pipelines.errors import ConfigError
from pipelines.storage import apply_forwarded, check_visible, settings_to_forward
from pipelines.storage.settings import FORWARDED_VARIABLES


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FORWARDED_VARIABLES:
        # Set first, so that what a test adopts is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_carried_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert settings_to_forward() == {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}


def test_adopt_leaves_a_workers_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage:9000")
    apply_forwarded({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "NSYNTH_STORAGE_ATTEMPTS": "2"})
    assert settings_to_forward() == {
        "AWS_ENDPOINT_URL": "http://storage:9000",
        "NSYNTH_STORAGE_ATTEMPTS": "2",
    }


def test_adopt_takes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    apply_forwarded({"AWS_SECRET_ACCESS_KEY": "hunter2"})
    assert settings_to_forward() == {}


def test_check_visible_takes_a_place_that_can_be_written(root: str) -> None:
    check_visible(root)


def test_check_visible_refuses_a_place_that_is_not_there(
    tmp_path: str, s3_environment: None
) -> None:
    for place in (f"{tmp_path}/none", "s3://no-such-bucket/prefix"):
        with pytest.raises(ConfigError, match=f"a worker cannot use {place}: there is no "):
            check_visible(place)
