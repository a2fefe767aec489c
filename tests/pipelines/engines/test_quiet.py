import signal

from pipelines.engines.quiet import own_interrupts


def test_own_interrupts_takes_back_the_handler_of_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    with own_interrupts():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before
