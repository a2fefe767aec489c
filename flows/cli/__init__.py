"""The command `nsynth`.

Exit codes: 0 done, 1 the data or the work failed, 2 wrong usage. What goes wrong is one sentence.
"""

from flows.cli.main import app, main

__all__ = ["app", "main"]
