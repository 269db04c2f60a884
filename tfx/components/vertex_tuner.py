"""TFX's Tuner with trials that are jobs on Vertex AI. The artifacts are the same, so the Trainer sees no difference.

TFX's own Vertex extension starts copies of the whole keras-tuner search as workers that share an oracle. Here,
Vertex AI itself chooses the values, and each trial has a machine of its own.
"""

import json
import os
from typing import Any

from tfx import types
from tfx.components.trainer import fn_args_utils
from tfx.components.tuner.component import Tuner
from tfx.components.tuner.executor import Executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils

from kerasbert.errors import BadInputError
from kerasbert_tfx.modules.fine_tuning import search_of
from kerasbert_tfx.records.remote_folders import is_remote
from kerasbert_tfx.vertex.tuning_job import TrialJobs, search_with_jobs
from kerasbert_tfx.vertex.tuning_trial import write_request

# As TFX's executor names them.
_BEST_FILE = "best_hyperparameters.txt"
_RESULTS_FILE = "tuner_results.json"
_REQUEST_FILE = "trial_request.json"


class VertexTunerExecutor(Executor):
    """Starts the search and waits for it. `custom_config["vertex_trials"]` contains the fields of `TrialJobs`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the best values and the results of all trials.

        Raises:
            BadInputError: If trials cannot read the artifacts, or the search fails.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        best = artifact_utils.get_single_uri(output_dict[standard_component_specs.BEST_HYPERPARAMETERS_KEY])
        results = artifact_utils.get_single_uri(output_dict[standard_component_specs.TUNER_RESULTS_KEY])
        fn_args = fn_args_utils.get_common_fn_args(input_dict, exec_properties)
        jobs = TrialJobs(**fn_args.custom_config.pop("vertex_trials"))
        self._check_addresses([best, *fn_args.train_files, *fn_args.eval_files])
        search = search_of(fn_args.custom_config)
        request = f"{results}/{_REQUEST_FILE}"
        write_request(request, fn_args)
        trials = search_with_jobs(
            search.space, search.metric, search.is_error, fn_args.custom_config["trials"], request, jobs
        )
        space = search.space.copy()
        space.values.update(trials[0].values)
        io_utils.write_string_file(os.path.join(best, _BEST_FILE), json.dumps(space.get_config()))
        rows = [{"trial_id": trial.trial, "score": trial.score, **trial.values} for trial in trials]
        io_utils.write_string_file(os.path.join(results, _RESULTS_FILE), json.dumps(rows))

    def _check_addresses(self, addresses: list[str]) -> None:
        local = [address for address in addresses if not is_remote(address)]
        if local:
            raise BadInputError(
                "Trials on Vertex AI read the pipeline's artifacts from a bucket. Received: "
                f"'{local[0]}'. Set `pipeline_root` to an address in Cloud Storage, or use `tuner: keras_tuner`."
            )


class VertexTuner(Tuner):
    """TFX's Tuner on Vertex AI. See `tfx.components.Tuner` for the arguments. Its id is "Tuner"."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(VertexTunerExecutor)
