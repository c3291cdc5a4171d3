"""TFRecord files without TensorFlow: records of any bytes, each with its checksums.

A record is its length (uint64), the length's checksum (uint32), the bytes, and their checksum, all
little-endian. A checksum is CRC-32C, rotated and offset: ((crc >> 15) | (crc << 17)) + 0xa282ead8.
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected: RFC 3720, appendix B.4
BITS = 1 << np.arange(32, dtype=np.uint32)
MASK_DELTA = 0xA282EAD8
ONES = 0xFFFFFFFF
# Long records are cut into pieces, which NumPy takes through the table side by side: this many in
# all records together, each of that many bytes or more.
PIECES, LEAST_PIECE = 4096, 16
LENGTH, CHECKSUM = 8, 4
# Records whose checksums are computed together, and which are held in memory for it.
TOGETHER = 16

Operator = np.ndarray
"""A linear map of registers: what it makes of each value of each of their four bytes (4, 256)."""


def _table(bits: int) -> np.ndarray:
    table = np.arange(1 << bits, dtype=np.uint32)
    for _ in range(bits):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    return table


BYTES, PAIRS = _table(8), _table(16)
"""The register after each byte, or each two bytes, from a register of zero."""


def _apply(operator: Operator, registers: np.ndarray) -> np.ndarray:
    """Apply a linear map to registers."""
    first, second, third, fourth = operator
    low = first[registers & 0xFF] ^ second[registers >> 8 & 0xFF]
    found: np.ndarray = low ^ third[registers >> 16 & 0xFF] ^ fourth[registers >> 24]
    return found


@lru_cache(maxsize=64)
def _zeros(count: int) -> Operator:
    """The map that takes a register through `count` bytes of zero, which is linear."""
    if count == 0:
        images = BITS
    elif count % 2:
        registers = _apply(_zeros(count - 1), BITS)
        images = BYTES[registers & 0xFF] ^ (registers >> 8)
    else:
        half = _zeros(count // 2)
        images = _apply(half, _apply(half, BITS))
    operator = np.zeros((4, 256), np.uint32)
    for bit, of_bytes in enumerate(images.reshape(4, 8).T):
        operator ^= np.where(np.arange(256) >> bit & 1, of_bytes[:, None], np.uint32(0))
    return operator


def crc32c(records: np.ndarray) -> np.ndarray:
    """Compute the CRC-32C of each of some records of one length: bytes (records, length)."""
    count, size = records.shape
    pieces = 1
    while count * pieces < PIECES and size >= 2 * pieces * LEAST_PIECE:
        pieces *= 2
    length = -(-size // pieces // 2) * 2
    # Zeros ahead leave a register of zero as it is.
    padded = np.zeros((count, pieces * length), np.uint8)
    padded[:, pieces * length - size :] = records
    columns = padded.view("<u2").reshape(count * pieces, length // 2)
    registers = np.zeros(count * pieces, np.uint32)
    for column in np.ascontiguousarray(columns.T):
        registers = PAIRS.take((registers & 0xFFFF) ^ column) ^ (registers >> 16)
    while len(registers) > count:
        registers = _apply(_zeros(length), registers[::2]) ^ registers[1::2]
        length *= 2
    # The register begins with ones, and is inverted at the end.
    begun = _apply(_zeros(size), np.array([ONES], np.uint32))
    return registers ^ begun ^ np.uint32(ONES)


def masked_crcs(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Compute the checksums that a TFRecord file holds; those of one length side by side."""
    for _, alike in groupby(pieces, len):
        while some := list(islice(alike, TOGETHER)):
            joined = np.frombuffer(b"".join(some), np.uint8)
            for crc in crc32c(joined.reshape(len(some), -1)).tolist():
                yield struct.pack("<I", ((crc >> 15 | crc << 17) + MASK_DELTA) & ONES)


def write(file: Path, records: Iterable[bytes]) -> None:
    """Write a TFRecord file."""
    left = iter(records)
    with file.open("wb") as out:
        while some := list(islice(left, TOGETHER)):
            lengths = [struct.pack("<Q", len(record)) for record in some]
            parts = zip(lengths, masked_crcs(lengths), some, masked_crcs(some), strict=True)
            out.writelines(part for record in parts for part in record)


class Piece(NamedTuple):
    """Some bytes of a file, and the checksum that it holds for them."""

    file: Path
    content: bytes
    checksum: bytes

    @staticmethod
    def read(file: Path, source: BinaryIO, size: int) -> Piece:
        """Read from where the file is."""
        return Piece(file, source.read(size), source.read(CHECKSUM))


def verified(pieces: Sequence[Piece]) -> list[bytes]:
    """Give what pieces hold.

    Raises:
        ValueError: one is damaged, or cut.
    """
    wanted = masked_crcs(piece.content for piece in pieces)
    for piece, crc in zip(pieces, wanted, strict=True):
        if piece.checksum != crc:
            raise ValueError(f"{piece.file}: {len(piece.content)} bytes are damaged or cut")
    return [piece.content for piece in pieces]


def read(file: Path) -> Iterator[bytes]:
    """Give each record.

    Raises:
        ValueError: a checksum is wrong, or the file ends within a record.
    """
    with file.open("rb") as source:
        while (head := Piece.read(file, source, LENGTH)).content:
            (length,) = verified([head])
            yield from verified([Piece.read(file, source, int.from_bytes(length, "little"))])


class Records:
    """The records of some files, counted through all of them, and read when asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Open the files, and find where their records are.

        Raises:
            ValueError: the length of a record is damaged, or a file ends within one.
        """
        self._sources = [(file, file.open("rb")) for file in files]
        self._places: list[tuple[int, int, int]] = []
        heads = []
        for number, (file, source) in enumerate(self._sources):
            at, end = 0, file.stat().st_size
            while at < end:
                source.seek(at)
                heads.append(Piece.read(file, source, LENGTH))
                size = int.from_bytes(heads[-1].content, "little")
                self._places.append((number, source.tell(), size))
                at = source.tell() + size + CHECKSUM
            if at > end:
                raise ValueError(f"{file}: its last record is damaged or cut")
        verified(heads)

    def read(self, numbers: Iterable[int]) -> list[bytes]:
        """Give records by their number.

        Raises:
            ValueError: a record is damaged.
        """
        found = []
        for number, at, size in (self._places[number] for number in numbers):
            file, source = self._sources[number]
            source.seek(at)
            found.append(Piece.read(file, source, size))
        return verified(found)

    def close(self) -> None:
        """Close the files."""
        for _, source in self._sources:
            source.close()
