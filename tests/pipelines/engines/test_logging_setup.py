import signal

from pipelines.engines.logging_setup import keep_interrupt_handler


def test_keep_interrupt_handler_takes_back_the_handler_of_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    with keep_interrupt_handler():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is before
