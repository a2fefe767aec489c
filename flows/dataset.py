"""One split, from its source to verdicts."""

from prefect import flow

from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.validate.verdicts import MAX_DROPPED, Validation
from tasks.convert import convert_source
from tasks.validate import validate_dataset


@flow(name="build-dataset", flow_run_name="build the data set of {source}")
def build_dataset(
    *,
    source: str,
    root: str = "data",
    runner: str = "local",
    max_quarantined: float = MAX_QUARANTINED,
    max_dropped: float = MAX_DROPPED,
    force: bool = False,
) -> Validation:
    """Converts one split and judges its notes.

    Args:
      source: TFRecord file of NSynth, or a folder or tar of its json + wav form; a path or any
        fsspec URI, `*` for several files.
      root: folder or URI (s3://bucket/prefix) that data sets, runs and reports go to.
      runner: engine of the conversion.
      max_quarantined: share of damaged records above which the conversion fails, 0 to 1.
      max_dropped: share of defective notes above which the validation fails, 0 to 1.
      force: convert again what is there.
    """
    manifest_uri = convert_source(
        source, root=root, runner=runner, max_quarantined=max_quarantined, force=force
    )
    return validate_dataset(manifest_uri, max_dropped=max_dropped)
