"""Step scores that are known, by everything the verifier had read when it gave them."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache

CAPACITY = 1 << 17
"""Scores kept; about 25 MB."""


def prefix_keys(head: tuple[int, ...], pieces: Iterable[tuple[int, ...]]) -> list[bytes]:
    """A key for each piece: a hash of all token ids up to its end, each made from the one before it."""
    key = _hash(b"", head)
    keys = []
    for piece in pieces:
        key = _hash(key, piece)
        keys.append(key)
    return keys


@lru_cache(maxsize=1 << 14)
def _hash(before: bytes, token_ids: tuple[int, ...]) -> bytes:
    return hashlib.blake2b(before + array("I", token_ids).tobytes(), digest_size=16).digest()


class Memo:
    """The scores last used, at most `capacity` of them. A score once given stays as it is while it is kept."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._capacity = capacity

    def get(self, key: bytes) -> float | None:
        if key in self._scores:
            self._scores.move_to_end(key)
        return self._scores.get(key)

    def put(self, key: bytes, score: float) -> None:
        self._scores.setdefault(key, score)
        if len(self._scores) > self._capacity:
            self._scores.popitem(last=False)
