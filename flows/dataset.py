"""The flow that builds one data set: its notes converted and judged."""

from prefect import flow
from prefect.runtime import flow_run

from flows.form import takes
from pipelines import decisions, storage
from pipelines.parameters import BuildRequest, ConversionRequest, Stage
from pipelines.text import visible
from pipelines.validate.verdicts import Validation
from tasks.dataset import convert_source, summarise_dataset, validate_dataset


def _run_name() -> str:
    return visible(f"build the data set of {storage.name(flow_run.parameters['source'])}")


@flow(name="build-dataset", flow_run_name=_run_name)
@takes(BuildRequest)
def build_dataset(request: BuildRequest) -> Validation:
    """Convert one data set and judge its notes; do only what is not stored yet."""
    with decisions.collect_decisions() as made:
        manifest_uri = convert_source(
            request.source,
            conversion=ConversionRequest.part_of(request),
            force=Stage.convert in request.force,
        )
        validation = validate_dataset(
            manifest_uri,
            max_dropped=request.max_dropped,
            force=Stage.validate in request.force,
        )
    summarise_dataset(validation, made)
    return validation
