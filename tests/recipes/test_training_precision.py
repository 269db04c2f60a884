"""`precision="auto"` is chosen from what the machine computes in, said once, and kept by the run."""

from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import BadInputError
from kerasbert.recipes import training_precision
from kerasbert.recipes.training_precision import bfloat16_unit, with_chosen_precision
from kerasbert.run_folder import RunFolder
from kerasbert.settings import RunSettings


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the machine computes in."""
    return lambda unit: monkeypatch.setattr(training_precision, "bfloat16_unit", lambda: unit)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16", "the processor (amx_bf16)"),
        ("flags\t\t: fpu avx512_bf16", "the processor (avx512_bf16)"),
        ("Features\t: asimd bf16 i8mm", "the processor (bf16)"),
        ("flags\t\t: fpu avx512f\nmodel name\t: bf16", None),
    ],
)
def test_the_flags_of_the_processor_decide(
    line: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_precision, "_accelerators", list)
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n\n")
    assert bfloat16_unit(tmp_path / "cpuinfo") == expected
    assert bfloat16_unit(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("accelerators", "expected"),
    [
        ([("GPU", (7, 5))], None),
        ([("GPU", (8, 0)), ("GPU", (7, 5))], None),
        ([("GPU", (8, 0))], "the accelerator"),
        ([("GPU", (10, 0))], "the accelerator"),
        ([("GPU", None)], "the accelerator"),
        ([("TPU", None)], "the accelerator"),
    ],
)
def test_every_accelerator_must_compute_in_bfloat16(
    accelerators: list[Any], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_precision, "_accelerators", lambda: accelerators)
    assert bfloat16_unit() == expected


@pytest.mark.parametrize(("unit", "expected"), [(None, "float32"), ("the accelerator", "mixed_bfloat16")])
def test_the_choice_is_said_in_one_line(
    unit: str | None, expected: str, machine: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(unit)
    settings = with_chosen_precision(RunSettings(output=tmp_path, seed=7))
    assert settings == RunSettings(output=tmp_path, precision=expected, seed=7)
    assert capsys.readouterr().err.startswith(f"Precision {expected}: ")
    with_chosen_precision(RunSettings(output=tmp_path, show_progress=False))
    with_chosen_precision(RunSettings(output=tmp_path, precision="float32"))
    assert not capsys.readouterr().err


def test_a_run_keeps_its_precision_on_another_machine(machine: Any, tmp_path: Path) -> None:
    folder, settings = RunFolder(tmp_path / "run"), RunSettings(output=tmp_path / "run")

    def begin(settings: RunSettings) -> str:
        chosen = with_chosen_precision(settings)
        folder.begin("pretrain", {"precision": chosen.precision}, settings.restart)
        return chosen.precision

    machine("the accelerator")
    assert begin(settings) == "mixed_bfloat16"
    machine(None)
    assert begin(settings) == "mixed_bfloat16"
    with pytest.raises(BadInputError, match="precision: 'mixed_bfloat16' before, 'float32' now"):
        begin(RunSettings(output=tmp_path / "run", precision="float32"))
    assert begin(RunSettings(output=tmp_path / "run", restart=True)) == "float32"
    folder.settings.write_text("damaged")
    with pytest.raises(BadInputError, match=r"A run resumes only with an intact settings\.json"):
        begin(settings)
