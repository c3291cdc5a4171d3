import optax

whole = optax.join_schedules


def late(schedules, boundaries):
    found = whole(schedules, boundaries)
    return lambda count: found(count - 1)


optax.join_schedules = late
