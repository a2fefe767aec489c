"""Promotion as tasks, with the webhook that announces a drop in quality."""

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

# The environment variable of the address. The Secret block is `nsynth-webhook`; the Prefect
# variable `nsynth_webhook` can be read by everybody who sees the server.
WEBHOOK: Final = "NSYNTH_WEBHOOK"


@task(name="promote", task_run_name="compare {model} with the champion", **POLICY)
def promote_model(run_uri: str, model: str, *, root: str, margin: float) -> Promotion:
    """Decide whether a model becomes the champion of its name."""
    return promote(run_uri, model, root=root, cache_dir=storage.cache_dir(root), margin=margin)


@task(name="notify", task_run_name="post alarms to the webhook, if one is set", **POLICY)
def post_alarms(promotions: Sequence[Promotion]) -> int:
    """Post each new drop in quality or data quality; return how many posts were accepted."""
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
    """Return the webhook's address from the environment, a block or a variable; None by default."""
    if address := os.environ.get(WEBHOOK):
        return address
    try:
        block = cast("Secret[str]", Secret.load("nsynth-webhook"))  # no event loop runs here
        return block.get()
    except ValueError:
        variable = Variable.get("nsynth_webhook")
        return str(variable) if variable else None
