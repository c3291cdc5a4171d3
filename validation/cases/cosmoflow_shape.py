"""The sizes of the CosmoFlow network, for any cube size and any framework."""

from __future__ import annotations

from dataclasses import dataclass

from cosmoflow_data import PARAMETERS

MOST_BLOCKS = 5
SLOPE = 0.3
OUTPUT_GAIN = 0.3


@dataclass(frozen=True)
class Shape:
    """The size of the problem and of the network."""

    cells: int
    channels: int
    features: int
    dropout: float
    outputs: int = len(PARAMETERS)

    @property
    def blocks(self) -> int:
        """As many halvings as leave 2 cells a side, at most five."""
        return min(MOST_BLOCKS, self.cells.bit_length() - 2)
