"""From text to batches in a separate process: its memory does not grow with the corpus."""

import subprocess
import sys

import pytest

# From a file of text to the batches of one epoch; prints the peak memory in KiB.
_PROGRAM = """
import resource, sys
import tensorflow as tf
from kerasbert.data import read_documents, write_pairs
from kerasbert.data import pretraining_dataset, segment_pairs

def tokenize(sentences):
    return [[len(word) for word in sentence.split()] for sentence in sentences]

def pack(first, second):
    return tf.concat([first, second], 1), tf.concat([tf.zeros_like(first), tf.ones_like(second)], 1)

def mask(token_ids, seed):
    positions = tf.zeros([token_ids.nrows(), 1], tf.int32)
    return {"token_ids": token_ids, "mask_positions": positions, "masked_ids": positions,
            "masked_weights": tf.ones_like(positions, tf.float32)}

text, folder = sys.argv[1:]
pairs = segment_pairs(
    read_documents(text), tokenize, max_tokens=60, seed=1, dupe_factor=1, buffer_documents=500
)
write_pairs(pairs, folder, num_shards=4)
for _ in pretraining_dataset(folder, pack, mask, 256, 1, shuffle_buffer=1000, epochs=1):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_peak_memory_of_a_corpus_and_of_eight_times_as_much(tmp_path):
    document = "\n".join(f"This is sentence number {number} of a document made up here." for number in range(40))

    def peak_megabytes(num_documents):
        text = tmp_path / "text.txt"
        text.write_text("\n\n".join([document] * num_documents))
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM, str(text), str(tmp_path / "pairs")],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(result.stdout) / 1024

    small, large = peak_megabytes(2_000), peak_megabytes(16_000)
    assert large < small + 40  # the text grows from 5 MB to 40 MB, the records more than that
