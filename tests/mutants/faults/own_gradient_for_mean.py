import algorithms

algorithms.mean_over_ranks = lambda comm, mine: mine
