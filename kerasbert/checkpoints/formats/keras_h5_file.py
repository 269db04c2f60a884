"""Reads `tf_model.h5`, in which transformers' TensorFlow classes save their weights, under PyTorch's names.

Knows nothing of BERT's names: those follow from the rules by which transformers names the weights of its two kinds of
classes. Files are only read.
"""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from kerasbert.checkpoints.formats.other_files import unreadable_file

# The last part of a name in TensorFlow -> in PyTorch.
_LAST = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
# `mlm___cls/predictions`: the name of a Keras layer, then that of PyTorch's module.
_RENAMED = re.compile(r"[^/]*___")


def read_keras_h5(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a file by PyTorch's names, in PyTorch's layout.

    Args:
        path: A `tf_model.h5`.

    Raises:
        BadInputError: The file is damaged or is not an HDF5 file.

    Source: transformers 4, `modeling_tf_pytorch_utils.py` (`convert_tf_weight_name_to_pt_weight_name`).
    """
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            array = np.asarray(node)
            arrays[_pytorch_name(name)] = array.T if name.split(":")[0].endswith("/kernel") else array

    try:
        with h5py.File(path, "r") as file:
            file.visititems(add)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise unreadable_file(
            path,
            "the file must be a whole HDF5 file of `TFBertModel.save_pretrained`",
            error,
            "Download or copy it again.",
        ) from error
    return arrays


def _pytorch_name(name: str) -> str:
    """`bert/tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` -> `bert.encoder.layer.0.output.dense.weight`.

    The first two parts are the names of the Keras layer and of the model.
    """
    plain = _RENAMED.sub("", name.split(":")[0]).replace("_._", "/")
    parts = plain.split("/")[2:]
    return ".".join([*parts[:-1], *(_LAST.get(last, last) for last in parts[-1:])])
