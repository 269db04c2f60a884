"""The texts that are measured: lines of Python's documentation, and Chinese.

Both are on every machine. They depend on the version of Python, but all libraries get the same.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from pydoc_data import topics

SHARED_DATA = Path(__file__).parents[2] / "../shared/data"


def english(count: int) -> list[str]:
    """Return lines of Python's documentation in a fixed random order. They repeat if there are too few."""
    lines = [" ".join(line.split()) for topic in topics.topics.values() for line in topic.split("\n")]
    lines = [line for line in lines if len(line) > 2]
    random.Random(0).shuffle(lines)
    return [lines[number % len(lines)] for number in range(count)]


def chinese(count: int) -> list[str]:
    """Return paragraphs of the Chinese Wikipedia if the shared data is there, or else random characters."""
    path = SHARED_DATA / "cmrc2018/trial.json"
    if path.is_file():
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        lines = [part["context"] for article in articles for part in article["paragraphs"]]
    else:
        draw = random.Random(0)
        characters = [chr(code) for code in range(0x4E00, 0x9FA6)]
        sentences = ["".join(draw.choices(characters, k=draw.randint(5, 40))) for _ in range(4000)]
        lines = ["。".join(sentences[start : start + 10]) for start in range(0, len(sentences), 10)]
    return [lines[number % len(lines)] for number in range(count)]


def random_ids(rows: int, length: int, vocabulary: int = 30522) -> list[list[int]]:
    """Return fixed random ids: `[CLS]`, word pieces and `[SEP]` of bert-base-uncased, without padding."""
    draw = random.Random(0)
    return [[101, *(draw.randrange(1000, vocabulary) for _ in range(length - 2)), 102] for _ in range(rows)]


def digest(texts: Sequence[str]) -> str:
    """Return a short hash, which tells whether two runs measured the same texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
