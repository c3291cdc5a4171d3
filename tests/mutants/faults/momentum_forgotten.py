import torch

whole = torch.load


def load(*args, **kwargs):
    state = whole(*args, **kwargs)
    state["optimizer"]["state"].clear()
    return state


torch.load = load
