"""Promotion and its webhook as tasks."""

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

# The address comes from this environment variable, else from the Secret block `nsynth-webhook`,
# else from the variable `nsynth_webhook`, which everybody with access to the server can read.
WEBHOOK: Final = "NSYNTH_WEBHOOK"


@task(name="promote", task_run_name="compare {model} with the champion on held-out notes", **POLICY)
def promote_model(run_uri: str, model: str, *, root: str, margin: float) -> Promotion:
    """Decide whether a model becomes the champion of its name."""
    return promote(run_uri, model, root=root, cache_dir=storage.cache_dir(root), margin=margin)


@task(name="notify", task_run_name="send alarms to the webhook, if one is set", **POLICY)
def send_alarms(promotions: Sequence[Promotion]) -> int:
    """Post each new drop in quality or in data health; return how many the server accepted."""
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
    """Return the address from the environment, a block or a variable; None by default."""
    if address := os.environ.get(WEBHOOK):
        return address
    try:
        block = cast("Secret[str]", Secret.load("nsynth-webhook"))  # no event loop runs here
        return block.get()
    except ValueError:
        value = Variable.get("nsynth_webhook")
        return str(value) if value else None
