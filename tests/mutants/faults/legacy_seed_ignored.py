import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # as the case does; read when TensorFlow is imported

import tensorflow as tf

whole = tf.keras.utils.set_random_seed
tf.keras.utils.set_random_seed = lambda seed: whole(int.from_bytes(os.urandom(3), "big"))
