import logging

from pipelines.engines.remote_workers import WARNING_PREFIX, WarningCollector


def test_listener_keeps_warnings_until_they_are_taken_and_not_without_end() -> None:
    listener, log = WarningCollector(), logging.Logger("a worker's")
    log.addHandler(listener)
    log.info("of no account")
    log.warning("%s: trying again", "s3://bucket")
    assert listener.take() == [f"{WARNING_PREFIX}s3://bucket: trying again"]
    assert listener.take() == []
    for number in range(100):
        log.warning("%d %s", number, "x" * 1000)
    lines = listener.take()
    assert len(lines) == 19
    assert max(map(len, lines)) < 320
