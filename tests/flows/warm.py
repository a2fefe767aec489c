"""A process that has imported the libraries; each command runs in a fork of it, without that wait.

Our own modules and Prefect are imported after the fork, since they read the environment.
"""

import atexit
import gc
import importlib
import json
import os
import socket
import sys
from typing import Any, Final

LIBRARIES: Final = (
    *("scipy.signal", "scipy.stats", "pyarrow.parquet", "pyarrow.compute", "apache_beam"),
    *("apache_beam.io.filesystems", "tensorflow", "keras", "sklearn.metrics", "jinja2", "PIL"),
    *("matplotlib.figure", "matplotlib.backends.backend_svg", "s3fs", "httpx", "fastapi", "typer"),
    *("sqlalchemy.ext.asyncio", "rich.console", "websockets"),
)


def _import() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in LIBRARIES:
        importlib.import_module(name)
    # Keeps the pages that all forks share from being copied.
    gc.freeze()


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Run the command in this process, which ends with its exit code.

    It ends without the destructors of native libraries, which would miss the threads that they
    had before the fork, and abort.
    """
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["nsynth", *request["arguments"]]
    from flows.cli import main  # noqa: PLC0415 - see above

    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _serve(link: socket.socket) -> None:
    _import()
    while True:
        data, descriptors, *_ = socket.recv_fds(link, 1_000_000, 2)
        if not data:
            return
        child = os.fork()
        if child == 0:
            link.close()
            _become(json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        link.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
