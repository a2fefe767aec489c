import signal

from pipelines.engines.submission import keep_interrupts


def test_keep_interrupts_takes_back_the_handler_of_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    with keep_interrupts():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before
