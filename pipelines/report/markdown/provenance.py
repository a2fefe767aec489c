"""Where a run comes from as Markdown: versions, data sets, commands, and what was decided."""

from pipelines.report.markdown.summary import decisions_table
from pipelines.report.markdown.text import code, plain, table
from pipelines.report.story import Story
from pipelines.report.tables import parameter_rows


def provenance_markdown(story: Story) -> list[str]:
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


def _commands(story: Story) -> list[str]:
    commands = story.commands
    from_sources = commands.from_sources
    return [
        "### Commands",
        *(["From the sources:", code(from_sources)] if from_sources else []),
        "From the converted data sets:",
        code(commands.from_datasets),
        *map(plain, commands.notes),
    ]


def _decisions(story: Story) -> list[str]:
    """The newest flow run first."""
    parts = [
        part
        for of in reversed(story.flow_runs)
        for part in (f"#### {plain(of.when)}", decisions_table(of.decisions))
    ]
    return ["### What was done, and why", *parts] if parts else []
