import stale_gradients

stale_gradients.LaggedMean._next = lambda self: self._pending.popleft().wait()
