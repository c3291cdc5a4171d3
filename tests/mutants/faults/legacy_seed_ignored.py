import os

import tf_keras

whole = tf_keras.utils.set_random_seed
tf_keras.utils.set_random_seed = lambda seed: whole(int.from_bytes(os.urandom(3), "big"))
