"""Promotion as tasks: a model against its champion, and who has to hear of it."""

import os
from collections.abc import Sequence
from typing import Final, cast

from prefect import task
from prefect.blocks.system import Secret
from prefect.variables import Variable

from pipelines import storage
from pipelines.notify import notify
from pipelines.promotion.promote import promote
from pipelines.promotion.stored import Promotion
from tasks.policy import POLICY

WEBHOOK: Final = "NSYNTH_WEBHOOK"
"""The environment's name for the address; `nsynth-webhook` is the block's, which is a Secret, and
`nsynth_webhook` the variable's, which everybody who sees the server can read."""


@task(name="promote", task_run_name="set {model} against the champion on the gate", **POLICY)
def promote_model(run_uri: str, model: str, *, root: str, margin: float) -> Promotion:
    """Decides whether a model becomes the champion of its name."""
    return promote(run_uri, model, root=root, cache_dir=storage.cache_dir(root), margin=margin)


@task(name="notify", task_run_name="tell the webhook, if one is set", **POLICY)
def tell_watchers(promotions: Sequence[Promotion]) -> int:
    """Posts each drop in quality or in data health that is news; says how many the server took."""
    news = [promotion for promotion in promotions if promotion.is_news and promotion.alarms]
    url = _webhook() if news else None
    if url is None:
        return 0
    return sum(
        notify(
            url,
            {
                "text": alarm,
                "run_id": promotion.run_id,
                "model": promotion.model,
                "outcome": promotion.outcome,
                "quality_drop": promotion.quality_drop,
                "health": list(promotion.health),
            },
        )
        for promotion in news
        for alarm in promotion.alarms
    )


def _webhook() -> str | None:
    """The address of the webhook: of the environment, a block or a variable; None by default."""
    if address := os.environ.get(WEBHOOK):
        return address
    try:
        block = cast("Secret[str]", Secret.load("nsynth-webhook"))  # no event loop runs here
        return block.get()
    except ValueError:
        found = Variable.get("nsynth_webhook")
        return str(found) if found else None
