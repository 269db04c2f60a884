"""Which model a client asks: its name, and a version or a label of it, or neither for the newest version."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The model of a client's calls.

    Attributes:
        name: The model's name on the server.
        version: A version of it, or None.
        label: A label that the server's configuration gives to a version, or None.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self):
        if not self.name:
            raise ValueError("`model_name` must not be empty.")
        if self.version is not None and self.label is not None:
            raise ValueError(
                "At most one of `version` and `label` may be given. Received: "
                f"version={self.version}, label={self.label!r}."
            )
        if self.version is not None and not 0 <= self.version < 2**63:
            raise ValueError(f"`version` must be from 0 to 2**63 - 1. Received: version={self.version}.")
