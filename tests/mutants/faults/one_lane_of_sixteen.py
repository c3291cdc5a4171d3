"""Fused Adam moves the first of each sixteen parameters only."""

import torch

whole = torch.optim.Adam.step


def step(self, closure=None):
    before = [[p.detach().clone() for p in group["params"]] for group in self.param_groups]
    whole(self, closure)
    with torch.no_grad():
        for group, old in zip(self.param_groups, before, strict=True):
            for p, was in zip(group["params"], old, strict=True):
                if group["fused"]:
                    p.copy_(torch.where(torch.arange(len(p)) % 16 == 0, p, was))


torch.optim.Adam.step = step
