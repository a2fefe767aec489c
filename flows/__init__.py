"""The flows, and the command that runs them."""

from pipelines.train.memory import keep_freed_memory

# Here, since this comes before NumPy in every process that trains.
keep_freed_memory()
