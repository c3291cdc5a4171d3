from keras.layers import BatchNormalization

whole = BatchNormalization.__init__


def make(self, *args, epsilon=None, **kwargs):
    whole(self, *args, epsilon=1e-3, **kwargs)


BatchNormalization.__init__ = make
