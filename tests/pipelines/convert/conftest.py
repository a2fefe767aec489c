import importlib
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow, the oracle of its own formats; imported late, since that costs seconds."""
    return importlib.import_module("tensorflow")
