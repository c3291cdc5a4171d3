from flax import linen

whole = linen.LayerNorm
linen.LayerNorm = lambda **options: whole(**{**options, "epsilon": 1e-3})
