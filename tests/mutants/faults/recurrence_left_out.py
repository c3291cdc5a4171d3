"""LSTM takes its hidden state for zero: each step sees its own input alone."""

import torch

whole = torch._VF.lstm


def lstm(x, state, weights, *args):
    weights = list(weights)
    weights[1] = weights[1] * 0
    return whole(x, state, weights, *args)


torch._VF.lstm = lstm
