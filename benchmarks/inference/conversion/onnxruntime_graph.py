"""Fuses an ONNX graph with ONNX Runtime's optimizer for transformers, and quantizes its weights to int8.

    python -m benchmarks.inference.conversion.onnxruntime_graph MODEL_FOLDER TARGET_FOLDER [int8]

The graph is read from `MODEL_FOLDER/onnx/model.onnx`. Quantization is dynamic: the scales of activations are computed
in each call.
"""

import json
import sys
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer


def main(folder: Path, target: Path, int8: bool) -> None:
    """Write `model.onnx`."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    heads, hidden_size = config["num_attention_heads"], config["hidden_size"]
    # The session makes the general optimizations, of all levels, when it loads the graph.
    fused = optimizer.optimize_model(str(folder / "onnx/model.onnx"), "bert", heads, hidden_size, opt_level=0)
    print(fused.get_fused_operator_statistics())
    if not int8:
        fused.save_model_to_file(str(target / "model.onnx"))
        return
    fused.save_model_to_file(str(target / "float32.onnx"))
    quantize_dynamic(
        target / "float32.onnx",
        target / "model.onnx",
        weight_type=QuantType.QInt8,
        # With one scale per tensor, vectors differ by three times as much.
        per_channel=True,
        # Without these instructions, sums of products of 8 bits overflow.
        reduce_range=not any(flag in _processor() for flag in ("avx512_vnni", "avx_vnni", "asimddp")),
        # Shape inference does not know the types of fused operators.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    (target / "float32.onnx").unlink()


def _processor() -> str:
    """Return the description of the processors."""
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), "int8" in sys.argv[3:])
