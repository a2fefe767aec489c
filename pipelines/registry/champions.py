"""Champions: for each model name the highest entry of an append-only list.

    <root>/registry/<model>/00001.json, 00002.json, ...

A rollback is an entry too; it has the number of the entry that it goes back to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError, PipelineError
from pipelines.layout import HOLDOUT, registry_uri
from pipelines.records import Count, Name, Place, now
from pipelines.registry.ledger import add_record, read_ledger, record_uri

By = Literal["flow", "hand", "rollback"]


@dataclass(frozen=True)
class Entry:
    """A model that became champion.

    Attributes:
      number: number of the entry, from 1.
      model: name of which it is the champion.
      model_uri: location of model.keras, relative to the root.
      model_sha256: SHA-256 of that file.
      gate: digest of the held-out set that decided; None where none did.
      verdict: result of the rule, see `pipelines.promotion.verdict`.
      why: reason of that verdict, in a sentence.
      figures: scores of champion and challenger on the held-out set, if they were compared.
      by: what made it champion.
      reason: reason that a user gave.
      points_to: entry that a rollback goes back to.
      when: time in ISO 8601; entries that differ in nothing else are equal.
    """

    number: Count
    model: Name
    run_id: Name
    model_uri: Place
    model_sha256: Name
    gate: str | None
    verdict: str
    why: str
    figures: Mapping[str, Any]
    by: By
    reason: str = ""
    points_to: Count | None = None
    when: str = field(default_factory=now, compare=False)

    @property
    def origin(self) -> int:
        """Return the number of the entry that made the same model champion first."""
        return self.points_to or self.number


def history(root: str, model: str) -> Sequence[Entry]:
    """Return all champions of a model name, the present one last; may be empty.

    Raises:
      DatasetError: an entry is missing, damaged, or of a format that this version does not read.
    """
    folder = registry_uri(root, model)
    entries = read_ledger(folder, Entry, what="an entry of a champion")
    for entry in entries:
        if entry.model != model or not 1 <= entry.origin <= entry.number:
            raise DatasetError(
                f"{record_uri(folder, entry.number)} is of {entry.model} and points to entry "
                f"{entry.origin}; restore it from a backup"
            )
    return entries


def champion(root: str, model: str) -> Entry | None:
    """Return the present champion of a model name; None if there was never one."""
    entries = history(root, model)
    return entries[-1] if entries else None


def champions(root: str) -> tuple[Mapping[str, Entry], Mapping[str, str]]:
    """Return the present champion of each model name, and the errors of those unreadable."""
    present, errors = dict[str, Entry](), dict[str, str]()
    for name in storage.list_folders(registry_uri(root)):
        if name == HOLDOUT:
            continue
        try:
            entry = champion(root, name)
        except PipelineError as err:
            errors[name] = str(err)
        else:
            present |= {name: entry} if entry else {}
    return present, errors


def set_champion(root: str, entry: Entry) -> Entry | None:
    """Add an entry; several processes may do so at once.

    Returns:
      The stored entry of this number if it equals the given one; None if another model has taken
      the number, so that the caller has to decide again.
    """
    folder = registry_uri(root, entry.model)
    content = {key: value for key, value in asdict(entry).items() if key != "number"}
    if add_record(folder, entry.number, content):
        return entry
    stored = history(root, entry.model)[entry.number - 1]
    return stored if stored == entry else None


def roll_back(root: str, model: str, *, to: int | None = None, reason: str = "") -> Entry:
    """Make an earlier champion the present one again, by an entry that points back to its own.

    Args:
      to: number of its entry; by default that of the model before the present one.

    Raises:
      ConfigError: there is no such entry, or it is of the present champion.
    """
    while True:
        entries = history(root, model)
        target = _rollback_target(entries, model, to)
        entry = Entry(
            number=len(entries) + 1,
            model=model,
            run_id=target.run_id,
            model_uri=target.model_uri,
            model_sha256=target.model_sha256,
            gate=target.gate,
            verdict=target.verdict,
            why=f"rolled back from entry {entries[-1].number} to entry {target.number}",
            figures=target.figures,
            by="rollback",
            reason=reason,
            points_to=target.number,
        )
        if stored := set_champion(root, entry):
            return stored


def _rollback_target(entries: Sequence[Entry], model: str, to: int | None) -> Entry:
    if not entries:
        raise ConfigError(f"{model} has no champion to roll back from; promote a run first")
    present = entries[-1]
    if to is None:
        earlier = [
            entry
            for entry in entries[: present.origin - 1]
            if entry.model_sha256 != present.model_sha256
        ]
        if not earlier:
            raise ConfigError(
                f"no model was champion of {model} before that of run {present.run_id}; "
                "name an entry, or promote another run"
            )
        return entries[earlier[-1].origin - 1]
    if not 1 <= to <= len(entries):
        raise ConfigError(
            f"{model} has entries from 1 to {len(entries)}, not {to}; name one of them"
        )
    if entries[to - 1].model_sha256 == present.model_sha256:
        raise ConfigError(f"entry {to} of {model} is of the model that is its champion already")
    return entries[entries[to - 1].origin - 1]
