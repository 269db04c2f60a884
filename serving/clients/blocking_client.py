"""The calls of the blocking clients. How a request travels is left to `rest_client.py` and `grpc_client.py`."""

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from kerasbert_serving.clients import typed_requests
from kerasbert_serving.clients.errors import ServingClientError
from kerasbert_serving.clients.retries import Attempts, Deadline, Retries
from kerasbert_serving.clients.target import Target
from kerasbert_serving.clients.typed_replies import (
    Classification,
    Embedding,
    Entity,
    ModelMetadata,
    QuestionAnswer,
    Regression,
    Token,
    VersionStatus,
)
from kerasbert_serving.clients.typed_requests import Question, Texts

Self = TypeVar("Self", bound="BlockingClient")


class BlockingClient(ABC):
    """What a blocking client can be asked, over whatever wire.

    A string gives one answer, a list of strings a list of answers, in their order. Every call takes `timeout`, the
    seconds in which the answer must be there, retries included; the client's own by default. Every call raises
    `ServingClientError` of some kind. A client may be used by several threads.
    """

    def __init__(self, protocol: type, target: Target, timeout: float, retries: Retries):
        self._protocol = protocol(target)
        self._timeout = timeout
        self._retries = retries

    # === Calls ===

    def classify(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        signature_name: str | None = None,
        timeout: float | None = None,
    ) -> Classification | list[Classification]:
        """Labels with their probabilities, for texts or for pairs of texts."""
        return self._ask(typed_requests.classify(texts, text_pairs, signature_name), timeout)

    def regress(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        signature_name: str | None = None,
        timeout: float | None = None,
    ) -> Regression | list[Regression]:
        """The numbers that a regression model predicts, for texts or for pairs of texts."""
        return self._ask(typed_requests.regress(texts, text_pairs, signature_name), timeout)

    def embed(
        self, texts: Texts, *, signature_name: str = "embed", timeout: float | None = None
    ) -> Embedding | list[Embedding]:
        """Vectors of texts."""
        return self._ask(typed_requests.embed(texts, signature_name), timeout)

    def tokenize(
        self, texts: Texts, *, signature_name: str = "tokenize", timeout: float | None = None
    ) -> tuple[Token, ...] | list[tuple[Token, ...]]:
        """The pieces that the model sees of texts, and where they stand."""
        return self._ask(typed_requests.tokenize(texts, signature_name), timeout)

    def find_entities(
        self, texts: Texts, *, signature_name: str = "serving_default", timeout: float | None = None
    ) -> tuple[Entity, ...] | list[tuple[Entity, ...]]:
        """The labelled stretches of texts."""
        return self._ask(typed_requests.find_entities(texts, signature_name), timeout)

    def answer(
        self,
        question_texts: Texts,
        contexts: Texts,
        *,
        signature_name: str = "serving_default",
        timeout: float | None = None,
    ) -> QuestionAnswer | list[QuestionAnswer]:
        """The stretches of each context that answer the question beside it."""
        return self._ask(typed_requests.answer(question_texts, contexts, signature_name), timeout)

    def predict(
        self, inputs: Mapping[str, Any], *, signature_name: str = "serving_default", timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """The outputs of any signature.

        Args:
            inputs: Arrays or nested lists by input name. Python's numbers take the dtype of the signature.
            signature_name: The signature.
            timeout: Seconds.

        Returns:
            Arrays by output name; strings as arrays of `bytes` objects.
        """
        return self._drive(self._protocol.predict(signature_name, inputs), timeout)

    def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """The state of each version of the model, newest first. A label does not narrow it down."""
        return self._drive(self._protocol.status(), timeout)

    def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """The signatures of the model."""
        return self._drive(self._protocol.metadata(), timeout)

    def for_model(
        self: Self, model_name: str | None = None, *, version: int | None = None, label: str | None = None
    ) -> Self:
        """A client of another model, version or label on the same connections; to close one is to close both."""
        other = copy.copy(self)
        other._protocol = type(self._protocol)(Target(model_name or self._protocol.target.name, version, label))
        return other

    # === Sending ===

    @abstractmethod
    def _exchange(self, request: Any, deadline: Deadline) -> Any:
        """Sends a request once and returns the reply, or raises a `ServingClientError`."""

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ask(self, question: Question, timeout: float | None) -> Any:
        if question.is_empty:
            return []
        steps = self._protocol.predict(question.signature_name, question.inputs)
        return question.answer(self._drive(steps, timeout))

    def _drive(self, steps: Any, timeout: float | None) -> Any:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        try:
            request = next(steps)
            while True:
                request = steps.send(self._exchange_with_retries(request, deadline))
        except StopIteration as end:
            return end.value

    def _exchange_with_retries(self, request: Any, deadline: Deadline) -> Any:
        attempts = Attempts(self._retries, deadline)
        while True:
            try:
                return self._exchange(request, deadline)
            except ServingClientError as error:
                time.sleep(attempts.pause_after(error))
