"""Training and held-out documents: both sides can always be paired, by content alone, and as the hash says."""

import pytest

from kerasbert.data import is_held_out
from kerasbert.data.pretraining.document_split import DocumentSplit, document_statistics


def documents(count, sentences=2):
    return [[f"sentence {number}.{index}" for index in range(sentences)] for number in range(count)]


def split(texts, share):
    plan = DocumentSplit.of(document_statistics(texts), share)
    parts = {name: [text for text in texts if name in plan.parts_of(text)] for name in ("train", "held_out")}
    return parts, plan.note


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.95])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 50, 300])
def test_each_side_has_two_documents(count, share):
    parts, note = split(documents(count), share)
    assert min(map(len, parts.values())) >= 2
    both = [text for text in parts["train"] if text in parts["held_out"]]
    assert len(both) >= 4 - count
    assert bool(both) == (count < 4)
    assert (note is not None) == (count < 4)
    assert len(parts["train"]) + len(parts["held_out"]) == count + len(both)
    assert abs(len(parts["held_out"]) - share * count) <= 1 or min(len(part) for part in parts.values()) == 2


def test_the_order_of_the_documents_does_not_matter():
    texts = documents(30)
    forwards, backwards = split(texts, 0.2)[0], split(texts[::-1], 0.2)[0]
    assert {part: chosen[::-1] for part, chosen in backwards.items()} == forwards


def test_the_hash_decides_where_it_can():
    texts = documents(400)
    held_out = [text for text in texts if is_held_out(text, 0.05)]
    parts, _ = split(texts, 0.05)
    # Of the 20 that are wanted, those with the lowest hashes.
    fewer, more = sorted([held_out, parts["held_out"]], key=len)
    assert len(parts["held_out"]) == 20
    assert all(text in more for text in fewer)


def test_documents_of_one_sentence_fill_no_side():
    lines = documents(200, sentences=1)
    texts = documents(4)
    parts, _ = split([*lines, *texts], 0.05)
    assert [sum(len(text) == 2 for text in part) for part in parts.values()] == [2, 2]
    assert [text for text in lines if text in parts["held_out"]] == [text for text in lines if is_held_out(text, 0.05)]


def test_a_large_corpus_is_not_counted_to_its_end():
    endless = ([f"sentence {number}", "and another"] for number in range(10**9))
    plan = DocumentSplit.of(document_statistics(endless), 0.05)
    texts = documents(500)
    assert [plan.parts_of(text) for text in texts] == [
        ("held_out",) if is_held_out(text, 0.05) else ("train",) for text in texts
    ]
