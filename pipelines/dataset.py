"""A committed data set, opened by its manifest: its notes' scalars, and their samples."""
