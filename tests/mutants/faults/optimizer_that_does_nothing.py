from torch.optim import SGD

SGD.step = lambda self, *args, **kwargs: None
