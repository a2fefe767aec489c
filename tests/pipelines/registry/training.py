"""The record of a training, for tests that store one."""

from typing import Final

from pipelines.registry.runs import Git, TrainingRecord

TRAINING: Final = TrainingRecord(
    model_sha256="dd",
    weights_digest="ee",
    seed=3,
    epochs=10,
    stored_epoch=10,
    best_epoch=4,
    batch_size=32,
    num_train=2,
    num_validation=1,
    num_steps=7,
    resumed_after=2,
    device="cpu (tensorflow 2.21.0)",
    versions={"keras": "3.15.1"},
    git=Git("0123abcd", dirty=True),
    seconds={"data": 0.5, "training": 1.5, "storing": 0.25},
)
