"""The command: `python -m infra.sample OUT`."""

import sys
from typing import Annotated

import typer

from infra.sample.splits import NUM_NOTES, write_splits
from pipelines.errors import PipelineError
from pipelines.text import visible


def sample(
    out: Annotated[str, typer.Argument(help="Folder for the three files.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    notes_train: Annotated[int, typer.Option(help="Intact notes in train.")] = NUM_NOTES["train"],
    notes_valid: Annotated[int, typer.Option(help="Intact notes in valid.")] = NUM_NOTES["valid"],
    notes_test: Annotated[int, typer.Option(help="Intact notes in test.")] = NUM_NOTES["test"],
) -> None:
    """Write a small NSynth look-alike with planted defects: three TFRecord files."""
    num_notes = {"train": notes_train, "valid": notes_valid, "test": notes_test}
    try:
        for uri, fresh in write_splits(out, num_notes, seed=seed).items():
            line = f"{uri} {'written' if fresh else 'is there already'}"
            typer.echo(visible(line), err=True)
    except (PipelineError, OSError) as err:
        typer.echo(visible(f"error: {err}"), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("interrupted; run it again to write what is missing", err=True)
        sys.exit(130)


def main() -> None:
    """Run the command."""
    typer.run(sample)


if __name__ == "__main__":
    main()
