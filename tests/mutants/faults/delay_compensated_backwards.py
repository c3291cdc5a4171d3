import stale_gradients

whole = stale_gradients.compensate
stale_gradients.compensate = lambda g, distance, strength: whole(g, -distance, strength)
