import algorithms

algorithms.larc_step = lambda w, g, rate, trust, decay: w - rate * (g + decay * w)
