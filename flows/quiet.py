"""Prefect's settings for a run without a server of one's own: a temporary one, and no chatter.

Must be imported before Prefect, which reads its settings when it is imported.
"""

import os

# Nothing about our users goes anywhere.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

if not os.environ.get("PREFECT_API_URL"):
    # Set to nothing, it is an address for Prefect's events, and each of them fails aloud.
    os.environ.pop("PREFECT_API_URL", None)
    # What failed is said once, in a sentence, by the command itself.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
