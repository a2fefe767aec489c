"""One split, from its source to verdicts."""

from prefect import flow
from prefect.runtime import flow_run

from flows.parameters import MIB, BeamOptions, Count, Location, Runner, Share, Stages
from pipelines import decisions, storage
from pipelines.convert.commit.commit import MAX_QUARANTINED
from pipelines.convert.shards.plan import RANGE_BYTES
from pipelines.text import visible
from pipelines.validate.verdicts import MAX_DROPPED, Validation
from tasks.convert import convert_source
from tasks.summary import summarise_dataset
from tasks.validate import validate_dataset


def _run_name() -> str:
    return visible(f"build the data set of {storage.name(flow_run.parameters['source'])}")


@flow(name="build-dataset", flow_run_name=_run_name)
def build_dataset(
    *,
    source: Location,
    root: Location = "data",
    runner: Runner = "local",
    beam_options: BeamOptions = [],  # noqa: B006 - never changed; the form shows it
    engine_settings: Location | None = None,
    range_mib: Count = RANGE_BYTES // MIB,
    max_quarantined: Share = MAX_QUARANTINED,
    max_dropped: Share = MAX_DROPPED,
    force: Stages = [],  # noqa: B006 - never changed; the form shows it
) -> Validation:
    """Converts one split and judges its notes; does only what is not there yet.

    Args:
      source: NSynth's TFRecord file (also .gz, .tar), or a folder or tar of its examples.json and
        wav files; a URI or a path on the worker's machine, relative to the checkout there, with *
        for several files.
      root: Folder or URI (s3://bucket/prefix) that data sets, runs and reports go to; a folder is
        one of the worker's machine, relative to the checkout there.
      runner: Engine of the conversion; portable is any server of Beam's job API.
      beam_options: KEY=VALUE of Beam's pipeline options, such as job_endpoint=HOST:PORT; they win
        over the engine's settings.
      engine_settings: File of the engine's settings on the worker's machine, relative to the
        checkout there, in place of infra/engines/RUNNER.toml.
      range_mib: Mebibytes of source that one shard covers; another number makes another data set.
      max_quarantined: Share of damaged records above which the conversion fails, 0 to 1.
      max_dropped: Share of defective notes above which the validation fails, 0 to 1; synth_lead
        does not count.
      force: Stages to do again although nothing changed; convert and validate count here.
    """
    with decisions.heard() as heard:
        manifest_uri = convert_source(
            source,
            root=root,
            runner=runner,
            beam_options=beam_options,
            engine_settings=engine_settings,
            range_bytes=range_mib * MIB,
            max_quarantined=max_quarantined,
            force="convert" in force,
        )
        validation = validate_dataset(
            manifest_uri, max_dropped=max_dropped, force="validate" in force
        )
    summarise_dataset(validation, heard)
    return validation
