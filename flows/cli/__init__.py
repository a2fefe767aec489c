"""The command `nsynth`.

Exit codes: 0 done, 1 the data or the work failed, 2 wrong usage, 130 stopped. What goes wrong is
one sentence.
"""

from flows.cli.interrupt import INTERRUPTS


def main() -> None:
    """Run the command; ends the process with its exit code."""
    INTERRUPTS.take_over()
    # Imports take seconds, in which Ctrl-C is no less likely than later.
    from flows.cli.main import run  # noqa: PLC0415 - as above

    run()
