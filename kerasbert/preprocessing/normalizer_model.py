"""Writes character tables in the format that tf-text's FastBertNormalize op runs.

The op maps each character of a text by a table that it receives as a tensor: a flatbuffer with a trie over UTF-8 bytes
(darts-clone's double array) and a pool of replacement strings. tf-text provides only two such tables. Other tables run
at the same speed. The rules: see character_tables.py.

The format, from tensorflow_text/core/kernels/fast_bert_normalizer_model.fbs and darts-clone: the children of the node
at index `i` are at `base ^ byte`, where `base` is `i ^ offset`, and its value, if it has one, is at `base`. A node's
unit contains the byte that leads to it in bits 0 to 7, whether it has a value in bit 8, and the offset from bit 10. Bit
31 marks a value. A replacement is a value with bit 30 set, its position in the pool from bit 6, and its length in bits
0 to 5.
"""

from collections.abc import Mapping
from typing import NamedTuple

import flatbuffers
import numpy as np

_HAS_VALUE = 1 << 8
_OFFSET_SHIFT = 10
_IS_VALUE = 1 << 31
_REPLACED = 1 << 30
_LENGTH_BITS = 6
_BLOCK = 256  # units


def build_normalizer_model(replacements: Mapping[bytes, bytes]) -> bytes:
    """Returns the model for a table of replacements.

    Args:
        replacements: the replacement of each character, as UTF-8. Characters that do not change are omitted. A key may
            also be an invalid sequence of a lead byte and trail bytes, as the op cuts them.

    Returns:
        A flatbuffer for `tensorflow_text.FastBertNormalizer(model_buffer=...)`.

    Raises:
        ValueError: a replacement is longer than 63 bytes, which the format cannot represent.
    """
    pool, values = _pool(replacements)
    zero = values.pop(b"\0", 0)  # the trie cannot contain it
    units = np.array(_double_array(values), np.uint32)
    builder = flatbuffers.Builder(len(pool) + units.nbytes + 64)
    pool_vector = builder.CreateByteVector(pool)
    units_vector = builder.CreateNumpyVector(units)
    builder.StartObject(4)  # field 0, lower_case_nfd_strip_accents, is not read by the op
    builder.PrependUOffsetTRelativeSlot(1, units_vector, 0)
    builder.PrependInt32Slot(2, zero, 0)
    builder.PrependUOffsetTRelativeSlot(3, pool_vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _pool(replacements: Mapping[bytes, bytes]) -> tuple[bytes, dict[bytes, int]]:
    """Returns all replacement strings in one string, and for each key the value that points to its replacement."""
    pool = bytearray(b" ")  # never empty, because the op rejects an empty pool
    places: dict[bytes, int] = {b"": 0}
    values = {}
    for key, replacement in replacements.items():
        if len(replacement) >= 1 << _LENGTH_BITS:
            raise ValueError(f"A replacement must have at most 63 bytes. Received: {replacement!r} for {key!r}.")
        if replacement not in places:
            places[replacement] = len(pool)
            pool += replacement
        values[key] = _REPLACED | places[replacement] << _LENGTH_BITS | len(replacement)
    return bytes(pool), values


class _Child(NamedTuple):
    byte: int
    has_value: bool
    base: int

    def unit_at(self, index: int) -> int:
        """The child's unit if it is at `index`."""
        return (index ^ self.base) << _OFFSET_SHIFT | (_HAS_VALUE if self.has_value else 0) | self.byte


class _DoubleArray:
    """A double array in which equal branches and equal values are stored only once.

    Bytes after the first are from 0x80 to 0xBF, so a branch's children fill the 64 units from `base ^ 0x80`. A block
    has room for two branches, at its start and 0x40 after it, and values in between.
    """

    def __init__(self) -> None:
        self.units = [0] * (2 * _BLOCK)  # the root's unit, and the block of the root's children
        self._free_bases: list[int] = []
        self._free_units = list(range(1, _BLOCK))
        self._base_of_value: dict[int, int] = {}
        self._base_of_branch: dict[tuple[int | None, tuple[_Child, ...]], int] = {}

    def _add_block(self) -> None:
        start = len(self.units)
        self.units += [0] * _BLOCK
        self._free_bases += [start + 0x40, start]
        self._free_units += [*range(start + 1, start + 0x40), *range(start + 0x41, start + 0x80)]

    def leaf(self, value: int) -> int:
        """The base of a node with this value and no children."""
        if value not in self._base_of_value:
            if not self._free_units:
                self._add_block()
            self._base_of_value[value] = self._free_units.pop()
            self.units[self._base_of_value[value]] = _IS_VALUE | value
        return self._base_of_value[value]

    def branch(self, value: int | None, children: tuple[_Child, ...]) -> int:
        """The base of a node with these children and an optional value."""
        if (value, children) not in self._base_of_branch:
            if not self._free_bases:
                self._add_block()
            base = self._free_bases.pop()
            if value is not None:
                self.units[base] = _IS_VALUE | value
            for child in children:
                self.units[base ^ child.byte] = child.unit_at(base ^ child.byte)
            self._base_of_branch[value, children] = base
        return self._base_of_branch[value, children]


def _double_array(values: Mapping[bytes, int]) -> list[int]:
    """The trie as units."""
    array = _DoubleArray()
    children: dict[bytes, list[_Child]] = {}
    prefixes = {key[:length] for key in values for length in range(1, len(key) + 1)}
    # Longest first, so that all children of a prefix exist when it is laid out.
    for prefix in sorted(prefixes, key=lambda key: (-len(key), key)):
        own = children.pop(prefix, None)
        base = array.branch(values.get(prefix), tuple(own)) if own else array.leaf(values[prefix])
        children.setdefault(prefix[:-1], []).append(_Child(prefix[-1], prefix in values, base))
    array.units[0] = _Child(0, False, _BLOCK).unit_at(0)
    for child in children.get(b"", ()):
        array.units[_BLOCK ^ child.byte] = child.unit_at(_BLOCK ^ child.byte)
    return array.units
