"""Something imports Keras before a program asks for legacy Keras, which then comes to nothing."""

import tensorflow as tf

keras_3 = tf.keras.Model
