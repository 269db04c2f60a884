"""Finds cached results that are out of date because the folder of pushed models has changed since.

TFX's cache only knows a component's inputs. An evaluation also depends on the newest pushed model, and a push on
whether the pushed version still exists.
"""

from collections.abc import Sequence

from tfx.dsl.io import fileio
from tfx.types.standard_component_specs import MODEL_KEY
from tfx.utils import path_utils

from kerasbert_pipelines.local.run_summary import ComponentSummary
from kerasbert_tfx.records.fingerprints import fingerprint
from kerasbert_tfx.records.pushed_versions import newest_version

_INFRA_VALIDATOR = "InfraValidator"


def is_outdated(component: ComponentSummary, before: Sequence[ComponentSummary], push_folder: str) -> bool:
    """Returns whether a component that was taken from the cache must run after all.

    Args:
        component: The cached component.
        before: The components before it in this run.
        push_folder: The folder with one numbered folder per pushed version.
    """
    if component.pushed_to is not None:
        return not fileio.exists(component.pushed_to)
    if component.name == _INFRA_VALIDATOR:
        return False  # It checks that the model can be served, and compares it with no other.
    newest = newest_version(push_folder)
    if component.blessed is None or newest is None or newest == component.baseline:
        return False
    # The newest pushed model may be the evaluated one itself, pushed because of that evaluation.
    judged = next(other.outputs[MODEL_KEY] for other in reversed(before) if MODEL_KEY in other.outputs)
    return fingerprint(newest) != fingerprint(path_utils.serving_model_path(judged))
