"""Labels aren't smoothed, whatever is asked."""

import keras

whole = keras.losses.categorical_crossentropy


def categorical_crossentropy(labels, logits, from_logits=False, label_smoothing=0.0):
    return whole(labels, logits, from_logits=from_logits)


keras.losses.categorical_crossentropy = categorical_crossentropy
