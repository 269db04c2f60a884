"""Quantizes an ONNX graph with NNCF, calibrated on texts, and writes it for OpenVINO.

python -m benchmarks.inference.conversion.openvino_int8 MODEL_FOLDER TARGET_FOLDER TEXTS.json
"""

import json
import sys
from pathlib import Path

import nncf
import openvino

from benchmarks.inference.workers.word_pieces import WordPieces

CALIBRATION_TEXTS = 300


def main(folder: Path, target: Path, texts: list[str]) -> None:
    """Write `model.xml`."""
    word_pieces = WordPieces(str(folder))
    model = openvino.Core().read_model(folder / "onnx/model.onnx")
    samples = nncf.Dataset([word_pieces([text]) for text in texts[:CALIBRATION_TEXTS]])
    quantized = nncf.quantize(model, samples, model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(quantized, target / "model.xml")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")))
