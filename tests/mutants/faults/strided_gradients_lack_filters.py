"""The weight's gradient of a strided convolution in float32 is zero for the last filters."""

import torch

whole = torch.nn.functional.conv2d


class Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight):
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.clone()
        gradient[-2:] = 0
        return gradient


def conv2d(image, weight, bias=None, stride=1, *args, **others):
    if stride != 1 and weight.dtype == torch.float32:
        weight = Cut.apply(weight)
    return whole(image, weight, bias, stride, *args, **others)


torch.nn.functional.conv2d = conv2d
