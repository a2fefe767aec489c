"""Cancel a job on a Flink cluster, which Beam's job server does not do."""

import json
import logging
import urllib.error
import urllib.request
from typing import Any, Final

_ANSWER_SEC: Final = 10.0

log = logging.getLogger(__name__)


def cancel_job(master: str, name: str) -> None:
    """Cancel the job of a name on a cluster.

    Beam's job server only stops waiting for a batch job that it is asked to cancel.

    Args:
      master: HOST:PORT or URL of the cluster's REST interface.

    Source: the REST interface of Flink 1.19, `GET /jobs/overview` and `PATCH /jobs/:jobid`.
    """
    url = master if "://" in master else f"http://{master}"
    try:
        overview = _ask(f"{url}/jobs/overview")
        for job in overview["jobs"]:
            if job["name"] == name and job["state"] not in ("FINISHED", "FAILED", "CANCELED"):
                _ask(f"{url}/jobs/{job['jid']}?mode=cancel", method="PATCH")
                log.info("cancelled the job %s on %s", name, master)
    except (urllib.error.URLError, OSError, ValueError, KeyError) as err:
        log.warning(
            "the job %s on %s may go on, since it could not be cancelled: %s", name, master, err
        )


def _ask(url: str, *, method: str = "GET") -> Any:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the user's own cluster
    with urllib.request.urlopen(request, timeout=_ANSWER_SEC) as answer:  # noqa: S310 - as above
        return json.loads(answer.read() or "{}")
