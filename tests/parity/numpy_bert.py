"""BERT's encoder in plain NumPy, float64, straight from a checkpoint's own names: the reference for parity.

Written from the paper and from the published sources, and on purpose from nothing of kerasbert: it has no table of
names, so a wrong row there cannot hide here. Google's and Hugging Face's names are the same words with other joints.
"""

import math
from collections.abc import Mapping

import numpy as np

# B batch, T tokens, H hidden size, N heads, D head size


class NumpyBert:
    """Computes hidden states from weights in Google's ("google_tf1") or Hugging Face's ("hugging_face") layout."""

    def __init__(self, weights: Mapping[str, np.ndarray], layout: str, heads: int, gelu: str, eps: float = 1e-12):
        self.is_google = layout == "google_tf1"
        prefix = "bert/" if self.is_google else ("bert." if any(name.startswith("bert.") for name in weights) else "")
        self.weights = {
            name.removeprefix(prefix): np.asarray(array, np.float64)
            for name, array in weights.items()
            if name.startswith(prefix)
        }
        self.heads, self.gelu, self.eps = heads, gelu, eps

    def hidden_states(
        self, token_ids: np.ndarray, segment_ids: np.ndarray, padding_mask: np.ndarray
    ) -> list[np.ndarray]:
        """The embeddings' output and that of each block [B, T, H], then the pooled output [B, H]."""
        end = "" if self.is_google else "weight"
        words, positions, segments = (
            self._weight("embeddings", f"{kind}_embeddings", end) for kind in ("word", "position", "token_type")
        )
        hidden = words[token_ids] + positions[: token_ids.shape[1]] + segments[segment_ids]
        states = [self._norm(hidden, "embeddings", "LayerNorm")]
        layer = 0
        while self._has("encoder", *self._layer(layer), "output", "dense"):
            states.append(self._block(states[-1], padding_mask, ["encoder", *self._layer(layer)]))
            layer += 1
        return [*states, np.tanh(self._dense(states[-1][:, 0], "pooler", "dense"))]

    def _block(self, hidden: np.ndarray, padding_mask: np.ndarray, place: list[str]) -> np.ndarray:
        query, key, value = (
            self._split(self._dense(hidden, *place, "attention", "self", name)) for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])  # [B, N, T, T]
        scores = np.where(padding_mask[:, None, None, :] == 1, scores, scores - 10000.0)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        probabilities = scores / scores.sum(-1, keepdims=True)
        attended = (probabilities @ value).swapaxes(1, 2).reshape(hidden.shape)  # [B, N, T, D] -> [B, T, H]
        attended = self._dense(attended, *place, "attention", "output", "dense")
        hidden = self._norm(hidden + attended, *place, "attention", "output", "LayerNorm")
        widened = self._gelu(self._dense(hidden, *place, "intermediate", "dense"))
        return self._norm(hidden + self._dense(widened, *place, "output", "dense"), *place, "output", "LayerNorm")

    def _split(self, values: np.ndarray) -> np.ndarray:
        batch, tokens, size = values.shape
        return values.reshape(batch, tokens, self.heads, size // self.heads).swapaxes(1, 2)  # [B, N, T, D]

    def _gelu(self, x: np.ndarray) -> np.ndarray:
        if self.gelu == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

    def _norm(self, x: np.ndarray, *place: str) -> np.ndarray:
        scale, shift = ("gamma", "beta") if self.is_google else ("weight", "bias")
        centered = x - x.mean(-1, keepdims=True)
        variance = np.mean(centered**2, -1, keepdims=True)
        normed = centered / np.sqrt(variance + self.eps)
        return normed * self._weight(*place, scale) + self._weight(*place, shift)

    def _dense(self, x: np.ndarray, *place: str) -> np.ndarray:
        kernel = self._weight(*place, "kernel") if self.is_google else self._weight(*place, "weight").T
        return x @ kernel + self._weight(*place, "bias")

    def _layer(self, index: int) -> list[str]:
        return [f"layer_{index}"] if self.is_google else ["layer", str(index)]

    def _weight(self, *place: str) -> np.ndarray:
        return self.weights[self._name(*place)]

    def _has(self, *place: str) -> bool:
        return any(name.startswith(self._name(*place)) for name in self.weights)

    def _name(self, *place: str) -> str:
        return ("/" if self.is_google else ".").join(step for step in place if step)
