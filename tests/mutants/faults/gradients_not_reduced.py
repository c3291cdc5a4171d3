from _ddp import average_by, ready


def hook(_state, bucket):
    return ready(bucket.buffer())


average_by(lambda: hook)
