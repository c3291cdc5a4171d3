import torch.nn.functional

whole = torch.nn.functional.conv2d


def conv2d(image, weight, *args, **kwargs):
    return whole(
        image.bfloat16().to(image.dtype), weight.bfloat16().to(weight.dtype), *args, **kwargs
    )


torch.nn.functional.conv2d = conv2d
