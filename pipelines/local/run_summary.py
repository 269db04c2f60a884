"""The summary of a pipeline's run, as a table and as JSON."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ComponentSummary:
    """The outcome of one component.

    Attributes:
        name: The component's id in the pipeline.
        state: "done", "cached" (taken from an earlier run) or "skipped" (without input).
        seconds: Wall-clock time.
        peak_megabytes: Peak memory of the whole process while the component ran (10^6 bytes).
        outputs: Output -> address of the artifact.
        metrics: The component's metrics.
        blessed: The verdict of a component that evaluates a model, else None.
        baseline: The pushed model that the component compared with, or None.
        pushed_to: The folder that the component pushed a model to, or None.
    """

    name: str
    state: str
    seconds: float
    peak_megabytes: float
    outputs: dict[str, str]
    metrics: dict[str, Any]
    blessed: bool | None = None
    baseline: str | None = None
    pushed_to: str | None = None


@dataclass(frozen=True)
class RunSummary:
    """The outcome of a run.

    Attributes:
        pipeline_name: The pipeline's name.
        pipeline_root: The pipeline's root.
        components: The components, in the order in which they ran.
    """

    pipeline_name: str
    pipeline_root: str
    components: tuple[ComponentSummary, ...]

    def __getitem__(self, name: str) -> ComponentSummary:
        """Returns the component with a name."""
        return next(component for component in self.components if component.name == name)

    @property
    def states(self) -> dict[str, str]:
        """Component -> state."""
        return {component.name: component.state for component in self.components}

    @property
    def blessed(self) -> bool | None:
        """Whether all components that evaluate the model blessed it, or None if no component evaluates it."""
        verdicts = [component.blessed for component in self.components if component.blessed is not None]
        return all(verdicts) if verdicts else None

    @property
    def pushed_to(self) -> str | None:
        """The folder that the model was pushed to, or None."""
        return next((component.pushed_to for component in self.components if component.pushed_to), None)

    @property
    def seconds(self) -> float:
        """Wall-clock time of all components."""
        return sum(component.seconds for component in self.components)

    def as_json(self) -> dict[str, Any]:
        """Returns the summary as JSON values."""
        return {**dataclasses.asdict(self), "blessed": self.blessed, "pushed_to": self.pushed_to}

    def table(self) -> str:
        """Returns a table of times, memory, metrics and outputs, and the verdict."""
        width = max(len(name) for name in ("component", *self.states))
        lines = [f"{'component':{width}}  {'state':8} {'seconds':>8} {'peak MB':>8}"]
        for component in self.components:
            spent = f"{component.seconds:8.1f} {component.peak_megabytes:8.0f}"
            lines.append(f"{component.name:{width}}  {component.state:8} {spent}")
            lines += [f"  {name.replace('_', ' ')}: {_in_digits(value)}" for name, value in component.metrics.items()]
            lines += [f"  {name} in {uri}" for name, uri in component.outputs.items()]
        lines.append(f"{'total':{width}}  {'':8} {self.seconds:8.1f}")
        if self.blessed is not None:
            lines.append(f"The model was {'' if self.blessed else 'not '}blessed.")
        lines.append(f"Pushed to {self.pushed_to}" if self.pushed_to else "Nothing was pushed.")
        return "\n".join(lines)


def in_words(component: ComponentSummary) -> str:
    """Returns the outcome of a component, for a line of progress."""
    if component.state != "done":
        return component.state
    return f"done in {component.seconds:.1f} s, peak memory {component.peak_megabytes:.0f} MB"


def _in_digits(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4f}"
    return str(value)
