from jax import lax

whole = lax.psum
lax.psum = lambda x, axis: whole(x * (lax.axis_index(axis) != 1), axis)
