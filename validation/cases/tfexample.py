"""What TensorFlow puts into a record: tf.train.Example, named lists of bytes or of floats.

In protobuf's wire format (https://protobuf.dev/programming-guides/encoding), by the fields of
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto. Each
feature is one string of bytes, or floats of 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

# Fields of Feature: a list of bytes, and of floats. The list's values are its field 1, and all
# other fields are numbered as here: Example's features, their map's entries, an entry's two parts.
BYTES, FLOATS = 1, 2
FIRST, KEY, VALUE = 1, 1, 2
# Protobuf's wire type of everything that says its own length.
DELIMITED = 2
FLOAT = np.dtype("<f4")

Feature = bytes | np.ndarray


def encode(features: Mapping[str, Feature]) -> bytes:
    """Write features: bytes as they are, and arrays of floats (n,)."""
    entries = [
        _field(FIRST, _field(KEY, name.encode()) + _field(VALUE, _feature(value)))
        for name, value in features.items()
    ]
    return _field(FIRST, b"".join(entries))


def decode(example: bytes) -> dict[str, Feature]:
    """Read what `encode` wrote, or TensorFlow, if no list holds anything else.

    Raises:
        ValueError: it holds something else.
    """
    found: dict[str, Feature] = {}
    for _, features in _fields(memoryview(example)):
        for _, entry in _fields(features):
            parts = dict(_fields(entry))
            ((kind, items),) = _fields(parts[VALUE])
            ((_, value),) = _fields(items)
            whole = bytes(value) if kind == BYTES else np.frombuffer(value, FLOAT)
            found[bytes(parts[KEY]).decode()] = whole
    return found


def _feature(value: Feature) -> bytes:
    if isinstance(value, bytes):
        return _field(BYTES, _field(FIRST, value))
    return _field(FLOATS, _field(FIRST, value.astype(FLOAT).tobytes()))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | DELIMITED]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have their eighth bit set."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Give the number and the content of each field of a message."""
    at = 0
    while at < len(message):
        number, wire = divmod(message[at], 8)
        if wire != DELIMITED:
            raise ValueError(f"field {number} is of wire type {wire}: no list of bytes or floats")
        size, at = _read_varint(message, at + 1)
        if at + size > len(message):
            raise ValueError(f"field {number} is cut")
        yield number, message[at : at + size]
        at += size


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Give a number, and where it ends."""
    number = shift = 0
    while at < len(message):
        number |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return number, at
    raise ValueError("a length is cut")
