"""AdamW adds its decay to the gradient, as Adam does."""

import torch

whole = torch.optim.AdamW.__init__


def begin(self, *args, **others):
    whole(self, *args, **others)
    for group in self.param_groups:
        group["decoupled_weight_decay"] = False


torch.optim.AdamW.__init__ = begin
