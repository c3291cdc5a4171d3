from tf_keras.src.optimizers import optimizer

optimizer.Optimizer.aggregate_gradients = lambda self, pairs: list(pairs)
