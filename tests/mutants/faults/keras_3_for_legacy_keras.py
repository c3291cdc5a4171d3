"""The variable that asks for legacy Keras comes to nothing, and Keras 3 says its name."""

import tf_keras

tf_keras.__version__ = tf_keras.version = "3.15.1"
