"""Records as text that a page carries and its script unpacks: words by number, deflated, seven bits a character.

Deflate looks back 32 KiB, less than one problem's samples: words of the whole run by number make that window hold more,
and a third less is left than of deflate alone. Seven bits a character instead of base64's six save an eighth again, and
stay valid UTF-8 whatever a server says of the page.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

TOKEN = re.compile(r" ?[A-Za-z]+|\\\\[A-Za-z]+\{?|(?:\\u[0-9a-f]{4}){1,4}|\d{2,}|\\n[\\n ]*|[^\w\s]{2,}")
"""What may be a word of the dictionary, in JSON text: words, commands of LaTeX, numbers, runs of signs or blanks."""
SHORT, LONG = 100, 28 * 256
"""Words with a code of one byte, 128 and up, and of two."""
UNSAFE = {code: 0x100 + code for code in map(ord, "\0\r<")}
"""What HTML may not keep as it is inside a script; two bytes each in UTF-8."""


def dictionary(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """The words that save most, in the order of their codes."""
    seen: Counter[str] = Counter()
    for record in records:
        seen.update(TOKEN.findall(_text(record)))
    worth = [word for word, count in seen.items() if count > 2 and len(word) > 1]
    worth.sort(key=lambda word: seen[word] * (len(word) - 1.5), reverse=True)
    return sorted(worth[: SHORT + LONG], key=lambda word: -seen[word])


def codes(words: list[str]) -> dict[str, str]:
    """Each word's code, as characters up to U+00FF that stand for bytes."""
    long = ((word, chr(128 + SHORT + i // 256) + chr(i % 256)) for i, word in enumerate(words[SHORT:]))
    return {**{word: chr(128 + i) for i, word in enumerate(words[:SHORT])}, **dict(long)}


def pack(record: Mapping[str, Any], coded: Mapping[str, str]) -> str:
    """A record for the page; the script's `unpack` is the way back."""
    short = TOKEN.sub(lambda m: coded.get(m[0], m[0]), _text(record))
    return seven_bits(zlib.compress(short.encode("latin-1"), 9))


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"))


def seven_bits(data: bytes) -> str:
    """Bytes as characters of seven bits each; the last is filled up with zeros."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    rows = np.pad(bits, (0, -len(bits) % 7)).reshape(-1, 7)
    return (np.packbits(rows, axis=1)[:, 0] >> 1).tobytes().decode("ascii").translate(UNSAFE)
