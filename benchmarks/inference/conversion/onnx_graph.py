"""Exports a sentence encoder from PyTorch to ONNX, with mean pooling in the graph.

    python -m benchmarks.inference.conversion.onnx_graph MODEL_FOLDER TARGET_FOLDER

The outputs of `model.onnx` are `last_hidden_state` and `sentence_embedding`, unit vectors.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModel

from benchmarks.inference.workers.mean_pooling import pool

NAMES = ("input_ids", "attention_mask", "token_type_ids")


class SentenceEncoder(torch.nn.Module):
    """A model of transformers with mean pooling."""

    def __init__(self, folder: str):
        super().__init__()
        # The optimizer of ONNX Runtime recognizes the graph of this form of attention.
        self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states `[B, T, H]` and vectors `[B, H]`."""
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return outputs.last_hidden_state, pool(outputs.last_hidden_state, attention_mask.float())


def main(folder: str, target: Path) -> None:
    """Export the model."""
    axes = {name: {0: "batch", 1: "tokens"} for name in (*NAMES, "last_hidden_state")}
    example = torch.ones((2, 8), dtype=torch.int64)
    with torch.inference_mode():
        torch.onnx.export(
            SentenceEncoder(folder),
            (example, example, torch.zeros_like(example)),
            str(target / "model.onnx"),
            input_names=list(NAMES),
            output_names=["last_hidden_state", "sentence_embedding"],
            dynamic_axes={**axes, "sentence_embedding": {0: "batch"}},
            opset_version=17,
            # The optimizer of ONNX Runtime recognizes the graphs of the older exporter.
            dynamo=False,
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
