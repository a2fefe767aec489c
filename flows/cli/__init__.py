"""The command `nsynth`.

Exit codes: 0 done, 1 the data or the work failed, 2 wrong usage, 130 stopped. Each error is one
sentence.
"""

from flows.cli.interrupt import INTERRUPTS


def main() -> None:
    """Run the command, and end the process with its exit code."""
    INTERRUPTS.take_over()
    # Imports take time, and Ctrl-C may arrive during them.
    from flows.cli.main import run  # noqa: PLC0415 - as above

    run()
