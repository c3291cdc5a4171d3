import stale_gradients

whole = stale_gradients.LaggedMean
stale_gradients.LaggedMean = lambda comm, lag: whole(comm, lag=0)
