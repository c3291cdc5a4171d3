import algorithms

whole = algorithms.lamb_step


def lamb_step(w, g, moments, *rest):
    return whole(w, g, moments._replace(steps=10**6), *rest)


algorithms.lamb_step = lamb_step
