"""TFX's Evaluator beside a baseline that may not be there yet."""

from typing import Any

from tfx import types
from tfx.components.evaluator.component import Evaluator
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.utils import path_utils

from kerasbert_tfx.components.baseline_model import SAVED_MODEL_FILE


class ComparingEvaluatorExecutor(Executor):
    """TFX's Evaluator, which takes an empty baseline for none."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the candidate, beside the baseline where there is one."""
        inputs = dict(input_dict)
        if not _holds_model(inputs["baseline_model"][0]):
            del inputs["baseline_model"]
        super().Do(inputs, output_dict, exec_properties)


class ComparingEvaluator(Evaluator):
    """TFX's Evaluator with the output of `BaselineModel`. See `tfx.components.Evaluator` for the arguments."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ComparingEvaluatorExecutor)


def _holds_model(artifact: types.Artifact) -> bool:
    return bool(fileio.exists(f"{path_utils.serving_model_dir(artifact.uri)}/{SAVED_MODEL_FILE}"))
