"""Continuous batching: who shares a run, who does not, and who gets an error."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasbert_serving.server import Code, ServingError
from kerasbert_serving.server.models.batching import Batcher


class Model:
    """Doubles its input; the first run waits until it is let go, and every run is written down."""

    def __init__(self):
        self.runs = []
        self.go = threading.Event()
        self.outputs = lambda arrays: [array * 2 for array in arrays]

    def __call__(self, arrays):
        self.runs.append([array.copy() for array in arrays])
        assert self.go.wait(30)
        return self.outputs(arrays)


@pytest.fixture
def model():
    return Model()


def answers(model, requests, **options):
    """Submits the first request, then all others while it runs, and returns every answer or error."""

    async def main():
        with ThreadPoolExecutor(2) as executor:
            batcher = Batcher(model, executor, **{"may_share": True, "max_rows": 8, "max_waiting": 100, **options})
            tasks = [asyncio.ensure_future(batcher.submit(requests[0]))]
            while not model.runs:
                await asyncio.sleep(0)
            tasks += [asyncio.ensure_future(batcher.submit(request)) for request in requests[1:]]
            await asyncio.sleep(0)
            model.go.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main())


def rows(*values):
    return [np.array(values, np.float32)]


def test_all_that_waits_is_taken_when_the_run_before_ends(model):
    results = answers(model, [rows(1), rows(2), rows(3, 4), rows(5)])
    assert [list(result[0]) for result in results] == [[2], [4], [6, 8], [10]]
    assert [list(run[0]) for run in model.runs] == [[1], [2, 3, 4, 5]]


def test_a_run_has_no_more_rows_than_allowed(model):
    answers(model, [rows(1), rows(2, 3), rows(4, 5), rows(6)], max_rows=3)
    assert [list(run[0]) for run in model.runs] == [[1], [2, 3, 6], [4, 5]]


def test_other_shapes_and_dtypes_run_apart(model):
    wide = [np.ones([1, 2], np.float32)]
    double = [np.ones(1, np.float64)]
    results = answers(model, [rows(1), rows(2), wide, double, rows(3)])
    assert [run[0].shape for run in model.runs] == [(1,), (2,), (1, 2), (1,)]
    assert results[2][0].shape == (1, 2)


@pytest.mark.parametrize("lone", [[np.float32(1)], [np.zeros(0, np.float32)], [np.ones(2), np.ones(3)]])
def test_scalars_empty_batches_and_uneven_inputs_run_alone(model, lone):
    answers(model, [rows(1), lone, lone])
    assert len(model.runs) == 3


def test_requests_that_may_not_share_do_not(model):
    answers(model, [rows(1), rows(2), rows(3)], may_share=False)
    assert len(model.runs) == 3


def test_a_failing_request_leaves_its_neighbours_their_answers(model):
    def outputs(arrays):
        if 3 in arrays[0]:
            raise ServingError(Code.INVALID_ARGUMENT, "three")
        return [arrays[0] * 2]

    model.outputs = outputs
    results = answers(model, [rows(1), rows(2), rows(3), rows(4)])
    assert [list(results[i][0]) for i in (0, 1, 3)] == [[2], [4], [8]]
    assert isinstance(results[2], ServingError)


def test_outputs_that_cannot_be_told_apart_are_computed_one_by_one(model):
    model.outputs = lambda arrays: [arrays[0].sum()]
    results = answers(model, [rows(1), rows(2), rows(3)])
    assert [float(result[0]) for result in results] == [1, 2, 3]


def test_a_full_queue_refuses(model):
    results = answers(model, [rows(1), rows(2), rows(3)], max_waiting=1)
    assert list(results[1][0]) == [4]
    assert results[2].code is Code.UNAVAILABLE


def test_who_no_longer_waits_is_not_computed(model):
    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(model, executor, may_share=True, max_rows=8, max_waiting=8)
            first = asyncio.ensure_future(batcher.submit(rows(1)))
            gone = asyncio.ensure_future(batcher.submit(rows(2)))
            await asyncio.sleep(0)
            gone.cancel()
            last = asyncio.ensure_future(batcher.submit(rows(3)))
            await asyncio.sleep(0)
            model.go.set()
            return await first, await last

    asyncio.run(main())
    assert [list(run[0]) for run in model.runs] == [[1], [3]]
