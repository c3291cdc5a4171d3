"""The inverse transform isn't divided by its length, as FFTW's isn't."""

import jax.numpy as jnp

whole = jnp.fft.ifft

jnp.fft.ifft = lambda x: whole(x, norm="forward")
