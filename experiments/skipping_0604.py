"""Would it pay to skip the recogniser for hopeless faces? ``python -m experiments.skipping_0604``.

What is known before recognition (score, size, pose, sharpness) ranks the faces of a labelled set,
clean and damaged, judged on people that the ranking's weights have not seen. Skipping is worth
what it saves of the recogniser's runs, and costs the recognisable faces among those skipped.
"""

import numpy as np

from benchmarks.quality import SAME, SHARED, collected
from memoria.arrays import F32
from memoria.faces import open_engine
from memoria.faces.quality import BIAS_WITHOUT_LENGTH, COEFFICIENTS_WITHOUT_LENGTH

LOSSES = (0.0, 0.001, 0.005, 0.01, 0.02)  # of the recognisable faces


def skipped(before: F32, similar: F32, loss: float) -> tuple[float, float]:
    """Share of all faces and of the hopeless ones under the cut that loses so many good ones."""
    good = np.sort(before[similar >= SAME])
    cut = good[int(loss * len(good))]
    return float((before < cut).mean()), float((before < cut)[similar < SAME].mean())


def main() -> None:
    """One line for each loss, over the half of the people that did not fit the weights."""
    engine = open_engine(SHARED / "models/scrfd2.5g_mobilefacenet")
    x, similar, person, damaged = collected(engine, SHARED / "events/portraits", copies=2)
    unseen = np.isin(person, np.unique(person)[1::2])
    before = x @ COEFFICIENTS_WITHOUT_LENGTH + np.float32(BIAS_WITHOUT_LENGTH)
    for name, of in (("clean", unseen & (damaged == 0)), ("clean and damaged", unseen)):
        hopeless = (similar[of] < SAME).mean()
        print(f"{name}: {of.sum()} faces, {hopeless:.1%} hopeless")
        for loss in LOSSES:
            every, bad = skipped(before[of], similar[of], loss)
            print(f"  lose {loss:.1%} of the good ones: skip {every:.1%} of all, {bad:.1%} of them")


if __name__ == "__main__":
    main()
