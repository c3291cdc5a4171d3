import algorithms

algorithms.mean_over_ranks = lambda comm, mine: comm.start_allreduce(mine).wait()
