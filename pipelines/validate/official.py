"""How a data set compares with the split that its file claims to be."""

from collections.abc import Mapping

from pipelines.notes import named_split


def compare_with_official(
    source_names: tuple[str, ...], *, num_records: int, families: Mapping[str, int]
) -> str:
    """One sentence on the official split of that name; empty when the files claim none.

    Args:
      num_records: rows and quarantined records.
      families: rows by family, before any is dropped.
    """
    split = named_split(source_names[0])
    if split is None or any(named_split(name) is not split for name in source_names):
        return ""
    if num_records != split.num_notes:
        return (
            f"{num_records:,} records, where the official {split.name} split has "
            f"{split.num_notes:,}: this is not that split."
        )
    wrong = [
        f"{family} {families.get(family, 0):,} for {num:,}"
        for family, num in split.families.items()
        if families.get(family, 0) != num
    ]
    if wrong:
        return (
            f"As many records as the official {split.name} split, "
            f"but not the same families: {', '.join(wrong)}."
        )
    return f"All {num_records:,} records of the official {split.name} split."
