"""Chooses a precision for training: mixed bfloat16 where the machine has instructions for it, otherwise float32.

For the precision of finished models, which is chosen by a comparison of answers, see models/precision_choice.py.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, TypeVar

import keras
import tensorflow as tf

from kerasbert.run_folder import RunFolder
from kerasbert.settings import RunSettings

Settings = TypeVar("Settings", bound=RunSettings)

_AUTO = "auto"
_CPU_INFO = Path("/proc/cpuinfo")
# The flags of processors with products of bfloat16 numbers: Intel's and AMD's, and Arm's.
_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
# NVIDIA's GPUs compute in bfloat16 from this compute capability on (Ampere).
_LEAST_CAPABILITY = (8, 0)


def with_chosen_precision(settings: Settings) -> Settings:
    """Returns the settings with a precision in place of "auto", and says which one in a line on standard error.

    A run that resumes keeps its precision, whatever this machine has.

    Args:
        settings: The settings of a run.

    Example:
        >>> with_chosen_precision(RunSettings(output="run", precision="mixed_float16")).precision
        'mixed_float16'
    """
    if settings.precision != _AUTO:
        return settings
    begun = None if settings.restart else RunFolder(settings.output).begun_settings().get("precision")
    if begun is not None:
        precision, reason = begun, "the run began with it"
    else:
        unit = bfloat16_unit()
        precision = "mixed_bfloat16" if unit else "float32"
        reason = f"{unit} computes in bfloat16" if unit else "nothing here computes in bfloat16"
    if settings.show_progress:
        sys.stderr.write(f"Precision {precision}: {reason}.\n")
    return dataclasses.replace(settings, precision=precision)


def bfloat16_unit(cpu_info: Path = _CPU_INFO) -> str | None:
    """Returns what computes products of bfloat16 numbers on this machine, in words, or None.

    Args:
        cpu_info: Linux's description of the processor. On other systems, only accelerators count.

    Example:
        >>> bfloat16_unit(Path("no such file")) in (None, "the accelerator")
        True
    """
    if accelerators := _accelerators():
        return "the accelerator" if all(_has_bfloat16(*each) for each in accelerators) else None
    # On a processor, JAX computes bfloat16 products in float32.
    if keras.backend.backend() != "tensorflow" or not cpu_info.exists():
        return None
    lines = [line.partition(":") for line in cpu_info.read_text(encoding="utf-8").splitlines()]
    flags = {flag for name, _, text in lines if name.strip() in ("flags", "Features") for flag in text.split()}
    found = [flag for flag in _FLAGS if flag in flags]
    return f"the processor ({found[0]})" if found else None


def _accelerators() -> list[tuple[str, Any]]:
    """The type and, for NVIDIA's GPUs, the compute capability of each GPU and TPU of the backend."""
    if keras.backend.backend() == "jax":
        import jax

        found = [(each.platform.upper(), getattr(each, "compute_capability", None)) for each in jax.devices()]
        return [(kind, version and _numbers(version)) for kind, version in found if kind != "CPU"]
    gpus = tf.config.list_physical_devices("GPU")
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]
    return [*(("GPU", each) for each in capabilities), *(("TPU", None) for _ in tf.config.list_logical_devices("TPU"))]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _has_bfloat16(kind: str, capability: tuple[int, ...] | None) -> bool:
    """Whether an accelerator computes in bfloat16. GPUs of other makers than NVIDIA have no compute capability."""
    return kind == "TPU" or capability is None or capability >= _LEAST_CAPABILITY
