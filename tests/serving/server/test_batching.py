"""Batching: which requests share a run, which run alone, and which get an error."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kerasbert_serving.server import Code, ServingError
from kerasbert_serving.server.models.batching import Batcher, BatchLimits


class Model:
    """Doubles its input and records every run. The first run waits until `go` is set."""

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


def answers(model, requests, may_share=True, **options):
    """Submits the first request, then all others while it runs. Returns each answer or error."""

    async def main():
        with ThreadPoolExecutor(2) as executor:
            limits = BatchLimits(**{"rows": 8, "run_bytes": 1000, "waiting": 100, **options})
            batcher = Batcher(model, executor, may_share, limits)
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


def test_all_waiting_requests_share_the_next_run(model):
    results = answers(model, [rows(1), rows(2), rows(3, 4), rows(5)])
    assert [list(result[0]) for result in results] == [[2], [4], [6, 8], [10]]
    assert [list(run[0]) for run in model.runs] == [[1], [2, 3, 4, 5]]


def test_the_rows_of_a_run_are_limited(model):
    answers(model, [rows(1), rows(2, 3), rows(4, 5), rows(6)], rows=3)
    assert [list(run[0]) for run in model.runs] == [[1], [2, 3, 6], [4, 5]]


def test_other_shapes_and_dtypes_run_separately(model):
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


def test_outputs_without_rows_are_computed_request_by_request(model):
    model.outputs = lambda arrays: [arrays[0].sum()]
    results = answers(model, [rows(1), rows(2), rows(3)])
    assert [float(result[0]) for result in results] == [1, 2, 3]


def test_a_full_queue_refuses(model):
    results = answers(model, [rows(1), rows(2), rows(3)], waiting=1)
    assert list(results[1][0]) == [4]
    assert results[2].code is Code.UNAVAILABLE


def test_cancelled_requests_are_not_computed(model):
    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(model, executor, True, BatchLimits(rows=8, run_bytes=1000, waiting=8))
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


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return [array]


def test_the_work_of_a_run_is_rows_times_the_longest_row(model):
    model.outputs = lambda arrays: [np.array([len(text) for text in arrays[0]])]
    short, long = texts(b"x" * 10), texts(b"x" * 40)
    answers(model, [short, short, long, short, short, short], run_bytes=100)
    # The long text may share a run with one other text: 2 x 40 bytes, but not 3 x 40.
    assert [list(map(len, run[0])) for run in model.runs] == [[10], [10, 40], [10, 10, 10]]


def test_numbers_count_by_their_bytes(model):
    answers(model, [rows(1), *([np.ones([1, 10], np.float32)] for _ in range(5))], run_bytes=90)
    assert [len(run[0]) for run in model.runs] == [1, 2, 2, 1]


def test_a_request_beyond_the_limit_runs_alone(model):
    model.outputs = lambda arrays: [np.array([len(text) for text in arrays[0]])]
    results = answers(model, [texts(b"a"), texts(b"a"), texts(b"x" * 500), texts(b"b")], run_bytes=100)
    assert [list(result[0]) for result in results] == [[1], [1], [500], [1]]
    assert [len(run[0]) for run in model.runs] == [1, 2, 1]


def test_a_failing_run_is_bisected(model):
    def outputs(arrays):
        if 13 in arrays[0]:
            raise ServingError(Code.INVALID_ARGUMENT, "thirteen")
        return [arrays[0] * 2]

    model.outputs = outputs
    results = answers(model, [rows(0), *(rows(value) for value in range(1, 33))], rows=64)
    assert isinstance(results[13], ServingError)
    assert all(list(result[0]) == [2 * value] for value, result in enumerate(results) if value != 13)
    # The first request, all others, and two halves at each of the five levels.
    assert [len(run[0]) for run in model.runs] == [1, 32, 16, 8, 8, 4, 4, 2, 1, 1, 2, 16][: len(model.runs)]
    assert len(model.runs) == 1 + 1 + 2 * 5
