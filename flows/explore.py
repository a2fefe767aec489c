"""A study: trials that differ in one thing at a time, and the page that compares them."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from prefect import flow
from prefect.runtime import flow_run

from flows.dataset import build_dataset
from flows.form import takes
from pipelines import storage
from pipelines.evaluate.stored import read_metrics
from pipelines.experiment import Experiment, experiments_of
from pipelines.layout import STUDY
from pipelines.parameters import BuildRequest, ExploreRequest
from pipelines.records import now
from pipelines.studies.results import (
    Candidate,
    StudyRecord,
    TrialResult,
    choose,
    load_study,
    scored_candidate,
    study_id,
    study_uri,
    summarise_trial,
)
from pipelines.studies.space import Space, check_search, find_space
from pipelines.studies.study import Study, make_study
from pipelines.text import visible
from pipelines.validate.verdicts import Validation
from tasks.explore import record_study, search_trial, show_study, test_candidate, train_trial
from tasks.report import refresh_index

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explored:
    """Result of a study.

    Attributes:
      study_uri: folder of its record and its page.
    """

    study_id: str
    study_uri: str
    page_uri: str


def _run_name() -> str:
    given = flow_run.parameters
    return visible(f"explore {given['study']} on {storage.name(given['train'])}")


@flow(name="explore", flow_run_name=_run_name)
@takes(ExploreRequest)
def explore(request: ExploreRequest) -> Explored:
    """Run the trials of a study and compare them; do only what is not stored yet.

    Trials are scored on notes that are not test notes. With test data, the most accurate trial is
    scored on them, once.
    """
    experiment, *_ = experiments_of(request)
    space = find_space(request.study, num_samples=request.samples)
    if space is not None:
        return _search(space, experiment, request)
    study = make_study(request.study, experiment, num_samples=request.samples)
    datasets = {
        length: _build(request, request.train, length)
        for length in sorted({trial.num_samples for trial in study.trials})
    }
    digests = {length: dataset.manifest_digest for length, dataset in datasets.items()}
    record = StudyRecord(
        study_id=study_id(study, train=digests, seeds=request.seeds),
        name=study.name,
        question=study.question,
        protocol=experiment.protocol,
        seeds=request.seeds,
        train={str(length): digest for length, digest in digests.items()},
        trials=(),
        candidate=None,
        created=now(),
    )
    uri = study_uri(request.root, record.study_id)
    if storage.exists(storage.join(uri, STUDY)):
        created, candidate = load_study(uri).created, scored_candidate(uri)
        record = replace(record, created=created, candidate=candidate)
    log.info("study %s of %d trials, in %s", study.name, len(study.trials), uri)
    for trial in _run_trials(study, request, datasets):
        record = replace(record, trials=(*record.trials, trial))
        # Each is stored at once, so that a study that is stopped shows what it has.
        record_study(record, uri=uri)
    record = replace(record, candidate=_candidate(study, record, request, datasets))
    page = record_study(record, uri=uri)
    show_study(record, page=page)
    # A failure raises nothing: the study is done without this page.
    refresh_index(request.root, return_state=True)
    return Explored(record.study_id, uri, page)


def _search(space: Space, experiment: Experiment, request: ExploreRequest) -> Explored:
    """Run the trials of a search; other processes may work on the same search meanwhile."""
    check_search(space, experiment, root=request.root)
    # Optuna is an extra of its own, which other studies do not need.
    from pipelines.studies.search import Search, SearchPlan  # noqa: PLC0415

    dataset = _build(request, request.train, request.samples)
    plan = SearchPlan(
        space=space,
        experiment=experiment,
        train=dataset,
        num_samples=request.samples,
        seeds=request.seeds,
        num_trials=request.num_trials,
        root=request.root,
    )
    log.info("search %s of %d trials, in %s", space.name, plan.num_trials, plan.uri)
    search = Search(plan)
    for claim in search.claims():
        search_trial(claim, root=request.root)
        with search.alone():
            if (record := search.record()).trials:
                record = replace(record, candidate=scored_candidate(plan.uri))
                record_study(record, uri=plan.uri)
    # Workers that end together score the chosen trial one after another, so that all but the first
    # find its run.
    with search.alone():
        study = search.study()
        record = replace(search.record(), candidate=scored_candidate(plan.uri))
        candidate = _candidate(study, record, request, {request.samples: dataset})
        record = replace(record, candidate=candidate)
        page = record_study(record, uri=plan.uri)
    show_study(record, page=page)
    refresh_index(request.root, return_state=True)
    return Explored(record.study_id, plan.uri, page)


def _run_trials(
    study: Study, request: ExploreRequest, datasets: Mapping[int, Validation]
) -> Iterator[TrialResult]:
    """Run the trials in their order and yield what each shows."""
    runs, models = dict[str, list[str]](), dict[str, str]()
    for trial in study.trials:
        dataset = datasets[trial.num_samples]
        runs[trial.name] = [
            train_trial(trial, seed, dataset, root=request.root) for seed in request.seeds
        ]
        models[trial.name] = trial.model
        yield summarise_trial(
            trial,
            runs[trial.name],
            base_uris=runs[trial.base] if trial.base else (),
            base_model=models[trial.base] if trial.base else "",
        )


def _candidate(
    study: Study,
    record: StudyRecord,
    request: ExploreRequest,
    datasets: Mapping[int, Validation],
) -> Candidate:
    """Choose a trial, and score it on the test notes if there are any."""
    best = choose(record.trials)
    if (scored := record.candidate) is not None:
        if scored.trial != best.name:
            log.warning(
                "%s is the best trial now, but the test notes have scored %s, and score no other",
                *(best.name, scored.trial),
            )
        return scored
    if request.test is None:
        return Candidate(best.name)
    (trial,) = (one for one in study.trials if one.name == best.name)
    run_uri = test_candidate(
        trial,
        request.seeds[0],
        datasets[trial.num_samples],
        _build(request, request.test, trial.num_samples),
        root=request.root,
    )
    scores = read_metrics(storage.join(run_uri, trial.model))
    interval = scores.intervals.get("accuracy")
    return Candidate(best.name, storage.name(run_uri), scores.accuracy, interval)


def _build(request: ExploreRequest, source: str, num_samples: int) -> Validation:
    build = BuildRequest.part_of(request, source=source, samples=num_samples)
    validation: Validation = build_dataset(**dict(build))
    return validation
