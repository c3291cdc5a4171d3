"""Dropout does nothing."""

import torch

torch.nn.functional.dropout = lambda x, p=0.5, training=True, inplace=False: x
