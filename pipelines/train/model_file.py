"""A trained model as the bytes of a `.keras` file, and back: backends write local files only."""

import tempfile
import warnings
from pathlib import Path

from pipelines.errors import DatasetError
from pipelines.train.backend import keras


def encode_model(model: keras.Model) -> bytes:
    """The bytes of a `.keras` file without the optimiser's state, two thirds of a compiled one."""
    bare = type(model).from_config(model.get_config())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras's variables do not know the `copy` that NumPy 2 asks arrays for; all is copied.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        path = Path(folder) / "model.keras"
        bare.set_weights(model.get_weights())
        bare.save(path)
        return path.read_bytes()


def decode_model(data: bytes, *, uri: str = "this model.keras") -> keras.Model:
    """Return the model of `encode_model`, to predict with; it is not compiled.

    Args:
      uri: where it is stored, for an error.

    Raises:
      DatasetError: Keras refuses it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            return keras.models.load_model(path, compile=False)
        except Exception as err:
            why = " ".join(str(err).split())[:200]
            raise DatasetError(
                f"Keras {keras.__version__} refuses {uri} ({why}); train the model again: nsynth "
                "retrain --force train"
            ) from err
