"""Where a run comes from as Markdown: versions, data sets, commands, and what was decided."""

from pipelines.report.markdown.text import code, plain, table
from pipelines.report.page_values import parameter_rows
from pipelines.report.report_data import ReportData
from pipelines.report.summaries import decisions_table


def provenance_markdown(story: ReportData) -> list[str]:
    """The section, in blocks."""
    record = story.run.record
    pairs = [
        ("created", record.created),
        ("backend", record.backend),
        ("device", record.device),
        ("training version", str(record.training_version)),
        *parameter_rows(record.experiment),
        *record.versions.items(),
    ]
    for name, of in record.datasets.items():
        pairs.append((f"{name}, manifest digest", of.manifest_digest))
        pairs.append((f"{name}, verdict digest", of.verdict_digest))
    return [
        "## Provenance",
        table(("", ""), pairs),
        *_commands(story),
        *_decisions(story),
    ]


def _commands(story: ReportData) -> list[str]:
    commands = story.commands
    from_sources = commands.from_sources
    return [
        "### Commands",
        *(["From the sources:", code(from_sources)] if from_sources else []),
        "From the converted data sets:",
        code(commands.from_datasets),
        *map(plain, commands.notes),
    ]


def _decisions(story: ReportData) -> list[str]:
    """The newest flow run first."""
    parts = [
        part
        for of in reversed(story.flow_runs)
        for part in (f"#### {plain(of.when)}", decisions_table(of.decisions))
    ]
    return ["### What was done, and why", *parts] if parts else []
