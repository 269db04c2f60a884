"""The base class of all task models: it has a backbone and its dtype policy, and saves the constructor's arguments."""

from typing import Any, TypeVar

import keras

from kerasbert.errors import BadInputError
from kerasbert.models.backbone import BertBackbone
from kerasbert.models.flat_tokens import FlatTokens

Task = TypeVar("Task", bound="BackboneTask")


class BackboneTask(FlatTokens, keras.Model):
    """A functional model whose constructor takes `backbone` as its first argument. Subclasses add further arguments.

    The model's dtype policy is the backbone's, so `compile` adds loss scaling to the optimizer for `"mixed_float16"`,
    regardless of Keras's global policy.
    """

    backbone: BertBackbone

    # The constructor's other arguments. Each of them is also an attribute.
    _ARGUMENTS: tuple[str, ...] = ()

    def __init__(
        self, backbone: BertBackbone, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = keras.dtype_policies.get(backbone.dtype_policy)
        if self._is_backbone_a_layer():
            self.backbone = backbone
        else:
            # The model's graph has the backbone's layers except the pooler. If the backbone were tracked, the pooler
            # would be a weight without a gradient, about which Keras warns in training.
            object.__setattr__(self, "backbone", backbone)
        if not trainable:  # Setting True would unfreeze a backbone that was frozen on its own.
            self.trainable = False

    def _is_backbone_a_layer(self) -> bool:
        """Whether the graph calls the backbone as one layer, instead of using its layers without the pooler."""
        return any(isinstance(layer, BertBackbone) for layer in self.layers)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the backbone as a serialized model."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            **{name: getattr(self, name) for name in self._ARGUMENTS},
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls: type[Task], config: dict[str, Any], custom_objects: Any = None) -> Task:
        """Create a model from the result of `get_config`."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        return cls(**{**config, "backbone": backbone})


def backbone_of(model: Any) -> BertBackbone:
    """Return the encoder of a model of `kerasbert.models`, which may be the encoder itself."""
    backbone: BertBackbone = getattr(model, "backbone", model)
    return backbone


def check_backbone(backbone: Any) -> BertBackbone:
    """Return `backbone` if it is a `BertBackbone`.

    Raises:
        BadInputError: it is not.
    """
    if not isinstance(backbone, BertBackbone):
        raise BadInputError(
            f"`backbone` must be a `BertBackbone`. Received: backbone={backbone!r}. "
            "For example, `BertBackbone.from_config(BertConfig.named('bert-tiny'))`."
        )
    return backbone
