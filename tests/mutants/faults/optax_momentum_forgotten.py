import jax
import orbax.checkpoint

kind = orbax.checkpoint.StandardCheckpointer
whole = kind.restore


def restore(self, *args, **kwargs):
    state = whole(self, *args, **kwargs)
    optimizer = state["optimizer"]
    trace, *others = optimizer.inner_state
    forgotten = (jax.tree.map(lambda x: x * 0, trace), *others)
    return {**state, "optimizer": optimizer._replace(inner_state=forgotten)}


kind.restore = restore
