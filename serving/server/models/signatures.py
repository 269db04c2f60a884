"""The inputs and outputs of a signature, analyzed once per loaded version.

Checks the inputs of requests, with TensorFlow Serving's error messages. Running a signature is left to `batching.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasbert_serving.server.statuses import invalid_argument
from kerasbert_serving.server.tensors import dtypes, tensor_protos

DEFAULT_SIGNATURE = "serving_default"


@dataclass
class Signature:
    """A signature, with the facts that its runs need.

    Attributes:
        name: The name of the signature.
        definition: The `SignatureDef` of the model.
        graph_dtypes: The dtype number of each input tensor, by its name in the graph.
        input_dtypes: The dtype number of each input according to the definition, by input name.
        rows_are_independent: Whether rows of several requests may share a run, as far as the shapes show: the first
            dimension of every input and output is the open batch dimension, and the other dimensions of the outputs do
            not depend on the batch. A graph that computes across the batch, e.g. a mean, is not detected.
    """

    name: str
    definition: Any
    graph_dtypes: Mapping[str, int]
    input_dtypes: dict[str, int] = field(init=False)
    rows_are_independent: bool = field(init=False)

    def __post_init__(self) -> None:
        self.input_dtypes = {name: self.definition.inputs[name].dtype for name in sorted(self.definition.inputs)}
        self.rows_are_independent = all(map(_has_open_batch, self.definition.inputs.values())) and all(
            _has_open_batch(info) and all(dim.size >= 0 for dim in info.tensor_shape.dim[1:])
            for info in self.definition.outputs.values()
        )

    def feeds(self, inputs: Mapping[str, np.ndarray]) -> tuple[tuple[str, ...], list[np.ndarray]]:
        """Returns the names of the tensors to feed and their arrays, including default values.

        Raises:
            ServingError: INVALID_ARGUMENT if the inputs do not fit the signature.
        """
        self._check_names(inputs)
        named = {}
        for alias, info in sorted(self.definition.inputs.items()):
            array = inputs.get(alias)
            named[info.name] = self._default(alias, info.name, inputs) if array is None else array
        unknown = set(inputs) - set(self.definition.inputs)
        if unknown:
            raise invalid_argument(
                f"Inputs contains invalid name. Used request inputs: {_join(set(inputs) - unknown)}, request input: "
                f"{_join(inputs)}"
            )
        feeds = tuple(sorted(named))
        self._check_dtypes(feeds, named)
        return feeds, [named[feed] for feed in feeds]

    def fetches(self, output_filter: Sequence[str] = ()) -> dict[str, str]:
        """Returns the tensor name of each requested output. An empty filter requests all outputs.

        Raises:
            ServingError: INVALID_ARGUMENT if the filter contains an unknown or repeated name.
        """
        wanted: dict[str, str] = {}
        for alias in output_filter:
            if alias not in self.definition.outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                    f"{{{_join(self.definition.outputs)}}}."
                )
            if alias in wanted:
                raise invalid_argument(f"duplicate output tensor alias: {alias}")
            wanted[alias] = self.definition.outputs[alias].name
        return wanted or {alias: self.definition.outputs[alias].name for alias in sorted(self.definition.outputs)}

    def _check_names(self, inputs: Mapping[str, np.ndarray]) -> None:
        sent, known = set(inputs), set(self.definition.inputs)
        if len(sent) > len(known) or (len(sent) < len(known) and not self.definition.defaults):
            raise invalid_argument(
                f"input size does not match signature: {len(sent)}!={len(known)} len({{{_join(sent)}}}) != "
                f"len({{{_join(known)}}}). Sent extra: {{{_join(sent - known)}}}. Missing but required: "
                f"{{{_join(known - sent)}}}."
            )

    def _default(self, alias: str, feed: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        defaults = self.definition.defaults
        if alias not in defaults:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {feed}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{_join(inputs)}}}, or default input alias set: "
                f"{_join(defaults)}"
            )
        return tensor_protos.to_array(defaults[alias])

    def _check_dtypes(self, feeds: tuple[str, ...], named: Mapping[str, np.ndarray]) -> None:
        # The session would report the same, but converts the array first in some cases. The dtypes are those of the
        # graph: a signature can state wrong dtypes, and TensorFlow Serving does not use them.
        expected = self.graph_dtypes
        for position, feed in enumerate(feeds):
            actual = dtypes.of_array(named[feed])
            if actual.number != expected.get(feed, actual.number):
                raise invalid_argument(
                    f"Expects arg[{position}] to be {dtypes.name_of(expected[feed])} but {actual.name} is provided"
                )


def _has_open_batch(info: Any) -> bool:
    shape = info.tensor_shape
    return not shape.unknown_rank and len(shape.dim) > 0 and shape.dim[0].size == -1


def _join(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
