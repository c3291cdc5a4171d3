from torch.optim import SGD, Adam


def climbing(whole):
    def step(self, *args, **kwargs):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.neg_()
        return whole(self, *args, **kwargs)

    return step


for kind in (SGD, Adam):
    kind.step = climbing(kind.step)
