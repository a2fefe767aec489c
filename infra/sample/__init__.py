"""A small NSynth look-alike: three TFRecord files with every defect that the pipeline knows.

It needs no download and no TensorFlow: `python -m infra.sample OUT` takes seconds. The notes are
synthesised, each family with a timbre of its own; the same seed gives the same bytes.
"""
