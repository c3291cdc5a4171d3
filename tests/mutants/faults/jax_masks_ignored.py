"""Attention looks at every token, whatever its mask says."""

import jax

whole = jax.nn.dot_product_attention

jax.nn.dot_product_attention = lambda query, key, value, **asked: whole(query, key, value)
