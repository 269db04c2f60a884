"""The calls of the asynchronous clients, whichever API they use.

How a request is sent is left to `rest.py` and `grpc.py`, what it means to `typed_requests.py`.
"""

import asyncio
import copy
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
    Entities,
    ModelMetadata,
    QuestionAnswer,
    Regression,
    Token,
    VersionStatus,
)
from kerasbert_serving.clients.typed_requests import Question, Texts

Self = TypeVar("Self", bound="AsyncClient")


class AsyncClient(ABC):
    """The calls that every asynchronous client has.

    A string gives one answer; a list of strings gives a list of answers in the same order. Every call takes `timeout`,
    the seconds within which the answer must arrive, retries included; by default it is the client's own timeout.
    Every call raises a subclass of `ServingClientError` if there is no answer. A client belongs to one event loop.
    """

    def __init__(self, protocol: type, target: Target, timeout: float, retries: Retries):
        Deadline(timeout)  # refuses a timeout that is not positive
        self._protocol = protocol(target)
        self._timeout = timeout
        self._retries = retries

    # === Calls ===

    async def classify(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        signature_name: str | None = None,
        timeout: float | None = None,
    ) -> Classification | list[Classification]:
        """Return the labels of texts, or of pairs of texts, with their probabilities."""
        return await self._ask(typed_requests.classify(texts, text_pairs, signature_name), timeout)

    async def regress(
        self,
        texts: Texts,
        text_pairs: Texts | None = None,
        *,
        signature_name: str | None = None,
        timeout: float | None = None,
    ) -> Regression | list[Regression]:
        """Return the numbers that a regression model predicts for texts, or for pairs of texts."""
        return await self._ask(typed_requests.regress(texts, text_pairs, signature_name), timeout)

    async def embed(
        self, texts: Texts, *, signature_name: str = "embed", timeout: float | None = None
    ) -> Embedding | list[Embedding]:
        """Return the vectors of texts."""
        return await self._ask(typed_requests.embed(texts, signature_name), timeout)

    async def tokenize(
        self, texts: Texts, *, signature_name: str = "tokenize", timeout: float | None = None
    ) -> tuple[Token, ...] | list[tuple[Token, ...]]:
        """Return the word pieces of texts, with their ids and their positions in the text."""
        return await self._ask(typed_requests.tokenize(texts, signature_name), timeout)

    async def find_entities(
        self, texts: Texts, *, signature_name: str = "serving_default", timeout: float | None = None
    ) -> Entities | list[Entities]:
        """Return the entities in texts, with their labels and their positions in the text."""
        return await self._ask(typed_requests.find_entities(texts, signature_name), timeout)

    async def answer(
        self,
        question_texts: Texts,
        contexts: Texts,
        *,
        signature_name: str = "serving_default",
        timeout: float | None = None,
    ) -> QuestionAnswer | list[QuestionAnswer]:
        """Return the spans of each context that answer the question at the same position."""
        return await self._ask(typed_requests.answer(question_texts, contexts, signature_name), timeout)

    async def predict(
        self, inputs: Mapping[str, Any], *, signature_name: str = "serving_default", timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """Return the outputs of any signature.

        Args:
            inputs: Arrays or nested lists by input name. Python numbers are sent in the dtype of the signature.
            signature_name: The signature to run.
            timeout: Seconds within which the answer must arrive, retries included.

        Returns:
            Arrays by output name. Strings are arrays of `bytes` objects.

        Raises:
            ValueError: If an input is not a tensor, or has numbers that the dtype of the signature cannot represent.
            ServingClientError: If there is no answer.
        """
        return await self._drive(self._protocol.predict(signature_name, inputs), timeout)

    async def status(self, *, timeout: float | None = None) -> list[VersionStatus]:
        """Return the state of each version of the model, newest first, also if the client asks for one label."""
        return await self._drive(self._protocol.status(), timeout)

    async def metadata(self, *, timeout: float | None = None) -> ModelMetadata:
        """Return the signatures of the model."""
        return await self._drive(self._protocol.metadata(), timeout)

    def for_model(
        self: Self, model_name: str | None = None, *, version: int | None = None, label: str | None = None
    ) -> Self:
        """Return a client for another model, version or label that shares this client's connections.

        Closing either client closes both.
        """
        other = copy.copy(self)
        other._protocol = type(self._protocol)(Target(model_name or self._protocol.target.name, version, label))
        return other

    # === Sending ===

    @abstractmethod
    async def _exchange(self, request: Any, deadline: Deadline) -> Any:
        """Send a request once and return the reply, or raise a `ServingClientError`."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _ask(self, question: Question, timeout: float | None) -> Any:
        if question.is_empty:
            return []
        steps = self._protocol.predict(question.signature_name, question.inputs)
        return question.answer(await self._drive(steps, timeout))

    async def _drive(self, steps: Any, timeout: float | None) -> Any:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._exchange_with_retries(request, deadline))
        except StopIteration as end:
            return end.value

    async def _exchange_with_retries(self, request: Any, deadline: Deadline) -> Any:
        attempts = Attempts(self._retries, deadline)
        while True:
            try:
                return await self._exchange(request, deadline)
            except ServingClientError as error:
                await asyncio.sleep(attempts.pause_after(error))
