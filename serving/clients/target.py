"""The model that a client asks: its name, and optionally a version or a label."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The model that a client asks. Without version and label it is the newest version.

    Attributes:
        name: The model's name on the server.
        version: A version, or None.
        label: A label that the server's configuration gives to a version, or None.
    """

    name: str
    version: int | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        for argument, text in (("model_name", self.name), ("label", self.label)):
            if text is not None and not _is_text(text):
                raise ValueError(f"`{argument}` must be text that is not empty. Received: {argument}={text!r}.")
        if self.version is not None and self.label is not None:
            raise ValueError(
                "At most one of `version` and `label` may be given. Received: "
                f"version={self.version}, label={self.label!r}."
            )
        if self.version is not None and not 0 <= self.version < 2**63:
            raise ValueError(f"`version` must be from 0 to 2**63 - 1. Received: version={self.version}.")


def _is_text(text: str) -> bool:
    """Returns whether a text is not empty and can be sent: UTF-8 cannot encode lone surrogates."""
    return bool(text) and not any("\ud800" <= character <= "\udfff" for character in text)
