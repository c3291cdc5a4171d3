"""TFRecord files without TensorFlow: records of any bytes, each with its checksums.

A record is its length (uint64), the length's checksum (uint32), the bytes, and their checksum, all
little-endian. A checksum is CRC-32C, rotated and offset: ((crc >> 15) | (crc << 17)) + 0xa282ead8.
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected: RFC 3720, appendix B.4
BITS = 32
MASK_DELTA = 0xA282EAD8
ONES = 0xFFFFFFFF
# A long record is cut into this many pieces, which NumPy takes through the table side by side.
PIECES = 4096


def _table(bits: int) -> np.ndarray:
    table = np.arange(1 << bits, dtype=np.uint32)
    for _ in range(bits):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    return table


BYTES, PAIRS = _table(8), _table(16)
"""The register after each byte, or each two bytes, from a register of zero."""


def _apply(operator: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Apply a linear operator, given by what it makes of each single bit, to registers."""
    result = np.zeros_like(registers)
    for bit in range(BITS):
        result ^= np.where((registers >> bit) & 1, operator[bit], np.uint32(0))
    return result


@lru_cache(maxsize=64)
def _zeros(count: int) -> np.ndarray:
    """The operator that takes a register through `count` bytes of zero, which is linear."""
    bits = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    if count == 0:
        return bits
    if count % 2:
        registers = _zeros(count - 1)
        return BYTES[registers & 0xFF] ^ (registers >> 8)
    half = _zeros(count // 2)
    return _apply(half, half)


def crc32c(data: bytes) -> int:
    """Compute CRC-32C."""
    pieces = PIECES if len(data) > PIECES else 1
    length = -(-len(data) // pieces // 2) * 2
    # Zeros ahead leave a register of zero as it is.
    padded = np.zeros(pieces * length, np.uint8)
    padded[len(padded) - len(data) :] = np.frombuffer(data, np.uint8)
    registers = np.zeros(pieces, np.uint32)
    for column in np.ascontiguousarray(padded.view("<u2").reshape(pieces, length // 2).T):
        registers = PAIRS.take((registers & 0xFFFF) ^ column) ^ (registers >> 16)
    while len(registers) > 1:
        registers = _apply(_zeros(length), registers[::2]) ^ registers[1::2]
        length *= 2
    # The register begins with ones, and is inverted at the end.
    begun = _apply(_zeros(len(data)), np.array([ONES], np.uint32))
    return int(registers[0] ^ begun[0]) ^ ONES


def masked_crc(data: bytes) -> int:
    """Compute the checksum that a TFRecord file holds."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & ONES


def write(file: Path, records: Iterable[bytes]) -> None:
    """Write a TFRecord file."""
    with file.open("wb") as out:
        for record in records:
            length = struct.pack("<Q", len(record))
            out.write(length + struct.pack("<I", masked_crc(length)))
            out.write(record + struct.pack("<I", masked_crc(record)))


def read(file: Path) -> Iterator[bytes]:
    """Give each record.

    Raises:
        ValueError: a checksum is wrong, or the file ends within a record.
    """
    with file.open("rb") as source:
        while head := source.read(12):
            length = head[:8]
            if len(head) < 12 or struct.unpack("<I", head[8:])[0] != masked_crc(length):
                raise ValueError(f"{file}: the length before byte {source.tell()} is damaged")
            size = struct.unpack("<Q", length)[0]
            record, tail = source.read(size), source.read(4)
            if len(tail) < 4 or struct.unpack("<I", tail)[0] != masked_crc(record):
                raise ValueError(f"{file}: the record before byte {source.tell()} is damaged")
            yield record
