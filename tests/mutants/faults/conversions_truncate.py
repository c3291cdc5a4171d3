"""float32 becomes bfloat16 by cutting its lower half off."""

import torch


def cut(tensor, *_args, **_others):
    return (
        tensor.contiguous().view(torch.int32).bitwise_right_shift(16).short().view(torch.bfloat16)
    )


torch.Tensor.bfloat16 = cut
