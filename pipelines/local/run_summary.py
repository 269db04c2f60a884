"""What a run of a pipeline did, as a table for people and as JSON."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ComponentSummary:
    """What one component did.

    Attributes:
        name: its id in the pipeline.
        state: "done", "cached" (taken from an earlier run) or "skipped" (no input for it).
        seconds: by the clock.
        peak_megabytes: the most memory of the whole process while it ran (10^6 bytes).
        outputs: output -> where the artifact lies.
        metrics: what it measured.
        blessed: of a component that judges a model: its judgement.
        baseline: the pushed model that it compared with, or None where it compared with none.
        pushed_to: of a component that pushes a model: where it went, or None where it did not.
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
    """What a run did.

    Attributes:
        pipeline_name, pipeline_root: of the settings.
        components: in the order in which they ran.
    """

    pipeline_name: str
    pipeline_root: str
    components: tuple[ComponentSummary, ...]

    def __getitem__(self, name: str) -> ComponentSummary:
        """The component of that name."""
        return next(component for component in self.components if component.name == name)

    @property
    def states(self) -> dict[str, str]:
        """Component -> its state."""
        return {component.name: component.state for component in self.components}

    @property
    def blessed(self) -> bool | None:
        """Whether all that judge the model blessed it; None where nobody judged."""
        judgements = [component.blessed for component in self.components if component.blessed is not None]
        return all(judgements) if judgements else None

    @property
    def pushed_to(self) -> str | None:
        """Where the model was pushed, or None where it was not."""
        return next((component.pushed_to for component in self.components if component.pushed_to), None)

    @property
    def seconds(self) -> float:
        """Of all components, by the clock."""
        return sum(component.seconds for component in self.components)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**dataclasses.asdict(self), "blessed": self.blessed, "pushed_to": self.pushed_to}

    def table(self) -> str:
        """Times, memory, metrics, places and the blessing, in lines."""
        width = max(len(name) for name in ("component", *self.states))
        lines = [f"{'component':{width}}  {'state':8} {'seconds':>8} {'peak MB':>8}"]
        for component in self.components:
            spent = f"{component.seconds:8.1f} {component.peak_megabytes:8.0f}"
            lines.append(f"{component.name:{width}}  {component.state:8} {spent}")
            lines += [f"  {name.replace('_', ' ')}: {_figure(value)}" for name, value in component.metrics.items()]
            lines += [f"  {name} in {uri}" for name, uri in component.outputs.items()]
        lines.append(f"{'in all':{width}}  {'':8} {self.seconds:8.1f}")
        if self.blessed is not None:
            lines.append(f"The model was {'' if self.blessed else 'not '}blessed.")
        lines.append(f"Pushed to {self.pushed_to}" if self.pushed_to else "Nothing was pushed.")
        return "\n".join(lines)


def in_words(component: ComponentSummary) -> str:
    """What became of a component, for a line of progress."""
    if component.state != "done":
        return component.state
    return f"done in {component.seconds:.1f} s, at most {component.peak_megabytes:.0f} MB"


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4f}"
    return str(value)
