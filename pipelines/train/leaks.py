"""Notes whose very samples occur in training and in test data: they leave the training data.

The test data never depends on the training data, so only the training side changes.
"""

from collections.abc import Sequence

from pipelines.validate.rules import LEAKED


def leaked(
    train_digests: Sequence[str], train_reasons: Sequence[str | None], test_digests: Sequence[str]
) -> list[str | None]:
    """Adds the reason `leaked` to the training notes that occur among the test notes.

    Args:
      train_digests: digest of each training note's original samples.
      train_reasons: why each is left out so far, None where it is kept; an earlier reason stays.
      test_digests: digests of all test notes, kept or not.

    Returns:
      One reason a training note.
    """
    tested = set(test_digests)
    return [
        LEAKED if reason is None and digest in tested else reason
        for digest, reason in zip(train_digests, train_reasons, strict=True)
    ]
