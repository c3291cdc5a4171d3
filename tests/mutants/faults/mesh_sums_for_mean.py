from jax import lax

lax.pmean = lax.psum
