"""A server of Beam workers on the loopback address, for engines that request them.

    python -m pipelines.engines.pool --port 50000

Beam has the same server, but it listens on all interfaces, and any client that reaches it can run
code.
"""

import argparse
import atexit
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.runners.worker.worker_pool_main import (
    BeamFnExternalWorkerPoolServicer,
    kill_process_gracefully,
)
from apache_beam.utils import thread_pool_executor

from pipelines import loopback

_OPTIONS: Final = [
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.max_ping_strikes", 0),
    # Two pools at one port would get a part of the requests each.
    ("grpc.so_reuseport", 0),
]


class _QuietHarness(SdkHarness):  # type: ignore[misc] # Beam has no types here
    """A worker that leaves the report of failures to the engine and so to the submitter."""

    def _execute(
        self, task: Callable[[], Any], request: beam_fn_api_pb2.InstructionRequest
    ) -> None:
        def answer() -> Any:
            try:
                return task()
            except Exception:  # noqa: BLE001 - the engine has to be given every error
                # Beam does the same, but prints it first.
                return beam_fn_api_pb2.InstructionResponse(
                    instruction_id=request.instruction_id, error=traceback.format_exc()
                )

        super()._execute(answer, request)


class _Threads(BeamFnExternalWorkerPoolServicer):  # type: ignore[misc] # as above
    """Workers that are threads of this process."""

    def StartWorker(  # noqa: N802 - its name in Beam's protocol
        self, start_worker_request: beam_fn_api_pb2.StartWorkerRequest, unused_context: Any
    ) -> beam_fn_api_pb2.StartWorkerResponse:
        """Start a worker, which connects to the engine."""
        worker_id = start_worker_request.worker_id
        try:
            worker = _QuietHarness(start_worker_request.control_endpoint.url, worker_id=worker_id)
        except grpc.FutureTimeoutError:
            url = start_worker_request.control_endpoint.url
            return beam_fn_api_pb2.StartWorkerResponse(error=f"nothing answers at {url}")
        self._worker_threads[worker_id] = worker
        threading.Thread(target=worker.run, name=f"worker {worker_id}", daemon=True).start()
        return beam_fn_api_pb2.StartWorkerResponse()


@contextmanager
def threads() -> Iterator[str]:
    """Serve workers in threads of this process, which Beam calls LOOPBACK.

    Yields:
      HOST:PORT of the server, for the engine.
    """
    server, address = _served(_Threads(), port=0)
    try:
        yield address
    finally:
        server.stop(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve workers in separate processes until stopped."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.engines.pool", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--boot", type=Path, help="Beam's boot program, to start workers with")
    given = parser.parse_args(arguments)
    loopback.bypass_proxies()
    # Beam starts the first `python` on the path, which may be another than this one.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    pool = BeamFnExternalWorkerPoolServicer(
        use_process=True, container_executable=given.boot and str(given.boot)
    )
    atexit.register(_end_processes, pool)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server, address = _served(pool, port=given.port)
    except RuntimeError:
        sys.exit(f"port {given.port} of {loopback.HOST} is take; choose another one")
    print(f"a pool of workers is at {address}", flush=True)  # noqa: T201 - it is a command
    with suppress(KeyboardInterrupt):
        server.wait_for_termination()


def _served(pool: BeamFnExternalWorkerPoolServicer, *, port: int) -> tuple[grpc.Server, str]:
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=_OPTIONS)
    bound = server.add_insecure_port(f"{loopback.HOST}:{port}")
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    return server, f"{loopback.HOST}:{bound}"


def _end_processes(pool: BeamFnExternalWorkerPoolServicer) -> None:
    for process in list(pool._worker_processes.values()):
        kill_process_gracefully(process)


if __name__ == "__main__":
    main()
