from _ddp import average_by, reduced


def hook(_state, bucket):
    return reduced(bucket.buffer(), 1)


average_by(lambda: hook)
