from torch.optim import Adam

whole = Adam.step


def step(self, *args, **kwargs):
    for group in self.param_groups:
        for parameter in group["params"]:
            parameter.grad.neg_()
    return whole(self, *args, **kwargs)


Adam.step = step
