import stale_gradients

whole = stale_gradients.DelayCompensatedSgd._distance


def _distance(self):
    pending = self._pending
    return whole(self) if pending is None else pending.wait() - self._update


stale_gradients.DelayCompensatedSgd._distance = _distance
