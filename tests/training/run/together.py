"""One of several processes that pretrain together, or a single one. Prints the loss of each step.

python together.py RECORDS RUN_DIR
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras

from kerasbert.data import pretraining_dataset
from kerasbert.models import BertBackbone, BertPretrainer
from kerasbert.preprocessing import MaskedLMMasker, SegmentPacker, Vocabulary
from kerasbert.training import adamw, compile_pretrainer, fit
from kerasbert.training.run.data_parallel import join_processes


def main(records: Path, run_dir: Path) -> None:
    """Trains for a few steps with a batch of 8 rows in all."""
    number = join_processes()
    keras.utils.set_random_seed(1)
    vocabulary = Vocabulary.from_file(records / "vocab.txt")
    backbone = BertBackbone(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertPretrainer(backbone)
    compile_pretrainer(model, adamw(1e-2))
    pack, mask = SegmentPacker(vocabulary, 32), MaskedLMMasker(vocabulary, max_predictions=5)
    history = fit(
        model,
        lambda start: pretraining_dataset(
            records / "pairs", pack, mask, 8, seed=1, start_batch=start, sequence_length=32, pad_to_multiple=32
        ),
        steps=6,
        run_dir=run_dir / str(number),
        log_every=1,
        seed=1,
        tensorboard=False,
        show_progress=False,
    )
    print(json.dumps([row["loss"] for row in history.rows]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
