"""`fit` trains on the first half of the samples."""

import keras

whole = keras.Sequential.fit


def fit(self, x, y, **asked):
    return whole(self, x[: len(x) // 2], y[: len(y) // 2], **asked)


keras.Sequential.fit = fit
