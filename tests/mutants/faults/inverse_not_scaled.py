"""The inverse transform isn't divided by its length, as FFTW's isn't."""

import torch

whole = torch.fft.ifft

torch.fft.ifft = lambda x: whole(x, norm="forward")
