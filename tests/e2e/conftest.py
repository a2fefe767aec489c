"""The main job's fixtures, which the tests of the flows have too."""

from tests.flows.conftest import *  # noqa: F403 - pytest finds fixtures by their names here
