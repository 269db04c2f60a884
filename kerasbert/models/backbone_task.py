"""What the models on top of a backbone share: they are saved as their arguments, the backbone as a nested config."""

from typing import Any, TypeVar

import keras

from kerasbert.errors import BadInputError
from kerasbert.models.backbone import BertBackbone

Task = TypeVar("Task", bound="BackboneTask")


class BackboneTask(keras.Model):
    """A functional model whose constructor takes `backbone` first. A subclass lists its other arguments."""

    backbone: BertBackbone

    # The constructor's arguments beside `backbone`, each of which is an attribute too.
    _ARGUMENTS: tuple[str, ...] = ()

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        if not trainable:  # To set True would thaw a backbone that was frozen on its own.
            self.trainable = False

    def _hold_without_pooler(self, backbone: BertBackbone) -> None:
        """Makes `backbone` an attribute of a model whose graph has the backbone's layers, but not its pooler.

        Not as a layer of the model: the pooler would be a weight without a gradient, of which Keras warns in training.
        """
        object.__setattr__(self, "backbone", backbone)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the backbone as a serialized model."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            **{name: getattr(self, name) for name in self._ARGUMENTS},
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls: type[Task], config: dict[str, Any], custom_objects: Any = None) -> Task:
        """A new model from what `get_config` returned."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        return cls(**{**config, "backbone": backbone})


def check_backbone(backbone: Any) -> BertBackbone:
    """Returns `backbone`, or refuses what is no `BertBackbone`."""
    if not isinstance(backbone, BertBackbone):
        raise BadInputError(
            f"`backbone` must be a `BertBackbone`. Received: backbone={backbone!r}. "
            "Give such as `BertBackbone.from_config(BertConfig.named('bert-tiny'))`."
        )
    return backbone
