"""How long an evaluation takes, and how often its 95 % intervals hold a truth that is known.

    python -m tests.bench.evaluate [--studies N] [--seed SEED]

A study draws instruments of the official families and for each of them how two models answer, with
the published confusion matrices as what is expected of them; then notes. Its intervals are those of
`score` and `compare`, and beside them the usual one for independent notes. The last line is one
JSON object: seconds, and by design of study the share of studies whose interval held the truth.
"""

import argparse
import json
import tempfile
import timeit
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import stats

from pipelines.evaluate import metrics
from pipelines.evaluate.comparison import compare
from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.evaluate.scores import score, summarise
from pipelines.evaluate.stored import store_metrics
from pipelines.report.build import build_report
from pipelines.report.published import PUBLISHED
from tests.pipelines.evaluate.tables import certain, drawn, drawn_table, table_of
from tests.pipelines.report.run_folder import write_run

# A class that a published row has no note in is not impossible for an instrument.
_RARE = 1e-3


@dataclass(frozen=True)
class Design:
    """What a study draws; the less `likeness`, the more instruments of a family differ."""

    num_instruments: int
    notes_each: int
    likeness: float


DESIGNS = (
    Design(53, 77, 2.0),
    Design(53, 19, 2.0),
    Design(53, 19, 0.5),
    Design(20, 20, 2.0),
    Design(10, 20, 2.0),
    Design(5, 20, 2.0),
)


def expected_rows(matrix: object, likeness: float) -> NDArray[np.float64]:
    """Parameters of the Dirichlet law of an instrument's answers, by its family."""
    counts = np.asarray(matrix, float)
    rows: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return likeness * rows + _RARE


def truth(rows: NDArray[np.float64], share: NDArray[np.float64]) -> dict[str, float]:
    matrix = share[:, np.newaxis] * rows / rows.sum(axis=1, keepdims=True)
    found = {
        "accuracy": float(metrics.accuracy(matrix)),
        "macro_f1": float(metrics.macro_f1(matrix)),
        "weighted_f1": float(metrics.weighted_f1(matrix)),
    }
    wrong = 1 - found["accuracy"]
    # A note counts as much as an instrument, since how many one has says nothing; and a model that
    # is always certain has a Brier score of 2 where it is wrong.
    return found | {"instrument_accuracy": found["accuracy"], "brier": 2 * wrong}


def draw_pair(
    design: Design, share: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Predictions, Predictions]:
    family = rng.choice(len(share), design.num_instruments, p=share)
    sizes = rng.poisson(design.notes_each, design.num_instruments) + 1
    instrument = np.repeat(np.arange(design.num_instruments), sizes)

    def answers(rows: NDArray[np.float64]) -> Predictions:
        of_one = [rng.dirichlet(rows[which]) for which in family]
        predicted = np.concatenate(
            [rng.choice(len(share), size, p=p) for size, p in zip(sizes, of_one, strict=True)]
        )
        names = [f"instrument-{which:03d}" for which in instrument]
        return from_table(table_of(certain(predicted), family[instrument], instrument_str=names))

    models = PUBLISHED.values()
    first, second = (
        answers(expected_rows(model.confusion_matrix, design.likeness)) for model in models
    )
    return first, second


def held(design: Design, rng: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """For each interval of one study, whether it held the truth."""
    counts = np.asarray(PUBLISHED["optimised"].confusion_matrix).sum(axis=1)
    share = counts / counts.sum()
    first, second = draw_pair(design, share, rng)
    before, after = (
        truth(expected_rows(model.confusion_matrix, design.likeness), share)
        for model in PUBLISHED.values()
    )
    scores = score(second)
    for name, value in after.items():
        if ends := scores.intervals.get(name):
            yield name, ends[0] <= value <= ends[1]
    for name, found in compare(first, second).every.figures.items():
        if found.interval:
            low, high = found.interval
            yield f"difference in {name}", low <= after[name] - before[name] <= high
    by_note = stats.binomtest(int(second.correct.sum()), len(second)).proportion_ci()
    yield "accuracy, by note", bool(by_note.low <= after["accuracy"] <= by_note.high)


def coverage(design: Design, *, num_studies: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    hits: dict[str, list[bool]] = {}
    for _ in range(num_studies):
        for name, is_held in held(design, rng):
            hits.setdefault(name, []).append(is_held)
    return {name: round(float(np.mean(found)), 3) for name, found in hits.items()}


def seconds_per_evaluation() -> dict[str, float]:
    """Of as many notes and instruments as the official test split has; the fastest of five."""
    notes = drawn(4_096, num_instruments=53)
    other = drawn(4_096, num_instruments=53, model_seed=1)
    timed = {"evaluate": lambda: summarise(notes), "compare": lambda: compare(notes, other)}
    return {
        f"{name}_seconds": round(min(timeit.repeat(work, number=1, repeat=5)), 3)
        for name, work in timed.items()
    }


def full_split() -> dict[str, float]:
    """Return seconds of processor time for as many notes and instruments as the train split has."""
    notes, other = (drawn(289_205, num_instruments=953, model_seed=model) for model in range(2))
    timed = {"evaluate": lambda: summarise(notes), "compare": lambda: compare(notes, other)}
    return {
        f"{name}_cpu_seconds_289205": round(timeit.timeit(work, timer=process_time, number=1), 1)
        for name, work in timed.items()
    }


def full_report() -> dict[str, float]:
    """Return seconds of processor time for the report of a run of two models on such notes.

    Its data sets are gone, so it has no sounds: those cost the same for any number of notes.
    """
    with tempfile.TemporaryDirectory(prefix="nsynth-bench-") as folder:
        run = write_run(Path(folder), models=dict.fromkeys(PUBLISHED, 1.0))
        for seed, name in enumerate(PUBLISHED):
            table = drawn_table(289_205, num_instruments=953, model_seed=seed, strength=seed + 1)
            pq.write_table(table, Path(folder, name, "predictions.parquet"))
            figures = summarise(from_table(table))
            store_metrics(f"{folder}/{name}", figures, model=name, num_parameters=9_098)
        seconds = timeit.timeit(lambda: build_report(run), timer=process_time, number=1)
    return {"report_cpu_seconds_289205": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--report-only", action="store_true", help="time one report only")
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.report_only:
        print(json.dumps(full_report()))
        return
    seconds = {**seconds_per_evaluation(), **full_split(), **full_report()}
    print(seconds, flush=True)
    result = {}
    for design in DESIGNS:
        name = f"{design.num_instruments} x {design.notes_each}, likeness {design.likeness}"
        result[name] = coverage(design, num_studies=arguments.studies, seed=arguments.seed)
        print(name, result[name], flush=True)
    print(json.dumps({**seconds, "num_studies": arguments.studies, "coverage": result}))


if __name__ == "__main__":
    main()
