"""What a report rests on: the data, the architectures, the methods and the software."""

from dataclasses import dataclass
from typing import Final

from pipelines.report.published import AUTHORS


@dataclass(frozen=True)
class Reference:
    """A work, and what it is cited for."""

    of: str
    text: str


REFERENCES: Final = (
    Reference(
        "Notes",
        "J. Engel, C. Resnick, A. Roberts, S. Dieleman, D. Eck, K. Simonyan, M. Norouzi: Neural "
        "Audio Synthesis of Musical Notes with WaveNet Autoencoders. 2017, arXiv:1704.01279.",
    ),
    Reference(
        "Architectures and published figures",
        f"{AUTHORS}: a course report on two one-dimensional convolutional networks on NSynth.",
    ),
    Reference(
        "Optimiser", "D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. 2015."
    ),
    Reference(
        "Intervals",
        "B. Efron: Bootstrap Methods: Another Look at the Jackknife. Ann. Statist. 7, 1979.",
    ),
    Reference(
        "Calibration error",
        "C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks. "
        "ICML, 2017.",
    ),
    Reference("Features", "L. Breiman: Random Forests. Machine Learning 45, 2001."),
    Reference("Keras", "F. Chollet and others: Keras. 2015, keras.io."),
    Reference(
        "TensorFlow",
        "M. Abadi and others: TensorFlow: A System for Large-Scale Machine Learning. OSDI, 2016.",
    ),
    Reference(
        "scikit-learn",
        "F. Pedregosa and others: Scikit-learn: Machine Learning in Python. JMLR 12, 2011.",
    ),
    Reference(
        "SciPy",
        "P. Virtanen and others: SciPy 1.0: Fundamental Algorithms for Scientific Computing in "
        "Python. Nature Methods 17, 2020.",
    ),
    Reference("NumPy", "C. R. Harris and others: Array programming with NumPy. Nature 585, 2020."),
    Reference(
        "Matplotlib",
        "J. D. Hunter: Matplotlib: A 2D Graphics Environment. Computing in Science & "
        "Engineering 9, 2007.",
    ),
)
