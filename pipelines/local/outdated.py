"""Whether what the cache says of a pushed model is still so: the folder of pushed models may have changed since.

TFX's cache knows a component's inputs only. A judgement depends on the model pushed last, too, and a push on its being
there still.
"""

from collections.abc import Sequence
from pathlib import Path

from tfx.types.standard_component_specs import MODEL_KEY
from tfx.utils import path_utils

from kerasbert_pipelines.local.run_summary import ComponentSummary
from kerasbert_tfx.components.comparing_evaluator import newest_version
from kerasbert_tfx.records.fingerprints import fingerprint

_INFRA_VALIDATOR = "InfraValidator"


def is_outdated(component: ComponentSummary, before: Sequence[ComponentSummary], push_folder: str) -> bool:
    """Whether a component that was taken from the cache must run after all. Folders in buckets are not looked at.

    Args:
        component: what the cache says of it.
        before: the components that ran before it in this run.
        push_folder: holds one numbered folder for each pushed version.
    """
    if "://" in push_folder:
        return False
    if component.pushed_to is not None:
        return not Path(component.pushed_to).exists()
    if component.name == _INFRA_VALIDATOR:
        return False  # asks whether the model can be served, and looks at no other
    newest = newest_version(push_folder)
    if component.blessed is None or newest is None or newest == component.baseline:
        return False
    # The pushed model may be the very one that was judged: it came to the folder by that judgement.
    judged = next(other.outputs[MODEL_KEY] for other in reversed(before) if MODEL_KEY in other.outputs)
    return fingerprint(newest) != fingerprint(path_utils.serving_model_path(judged))
