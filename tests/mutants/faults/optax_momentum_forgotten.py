import jax
import orbax.checkpoint

kind = orbax.checkpoint.StandardCheckpointer
whole = kind.restore


def restore(self, *args, **kwargs):
    state = whole(self, *args, **kwargs)
    trace, *others = state["optimizer"]
    return {**state, "optimizer": (jax.tree.map(lambda x: x * 0, trace), *others)}


kind.restore = restore
