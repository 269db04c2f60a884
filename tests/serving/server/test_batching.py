"""Batching: which requests share a run, which run alone, and which get an error."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from kerasbert_serving.server import Code, ServingError
from kerasbert_serving.server.models.batching import Batcher
from kerasbert_serving.server.models.sharing import BatchLimits, choose, row_size


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
    # The long text would make a run of all others too large: 5 x 40 bytes.
    assert [list(map(len, run[0])) for run in model.runs] == [[10], [10, 10, 10, 10], [40]]


def lengths_of_runs(model, requests, **options):
    model.outputs = lambda arrays: [np.array([len(text) for text in arrays[0]])]
    results = answers(model, [texts(b"first"), *requests], **options)
    assert [result[0].tolist() for result in results[1:]] == [[len(text) for text in each[0]] for each in requests]
    return [sorted(map(len, run[0])) for run in model.runs[1:]]


def test_texts_of_similar_length_share_a_run(model):
    requests = [texts(b"x" * length) for length in (30, 5000, 35, 4500, 40, 200, 4800)]
    runs = lengths_of_runs(model, requests, rows=64, run_bytes=10**6)
    assert runs == [[30, 35, 40, 200], [4500, 4800, 5000]]


def test_a_little_padding_is_cheaper_than_another_run(model):
    requests = [texts(b"x" * length) for length in (10, 100, 20, 150, 40)]
    assert lengths_of_runs(model, requests, rows=64) == [[10, 20, 40, 100, 150]]


def test_the_rows_of_a_request_stay_together(model):
    requests = [texts(b"x", b"x" * 9000, b"x"), texts(b"x"), texts(b"x" * 8000)]
    assert lengths_of_runs(model, requests, run_bytes=10**6) == [[1, 1, 8000, 9000], [1]]


def test_no_request_waits_for_more_runs_than_there_were_requests_before_it():
    queue, longest_wait = [], 0
    rng = np.random.default_rng(0)
    for number in range(300):
        # Short texts keep coming, and a long one waits from time to time.
        for length in rng.choice([20, 30, 20_000], size=5, p=[0.6, 0.3, 0.1]):
            queue.append(Request(number, len(queue), int(length)))
        for request in choose(queue, BatchLimits(rows=4, run_bytes=10**6, waiting=10**6)):
            queue.remove(request)
            assert number - request.came <= request.before
            longest_wait = max(longest_wait, number - request.came)
    assert longest_wait > 10


@dataclass(eq=False)
class Request:
    came: int
    before: int
    row_bytes: int
    rows: int = 1
    kind: object = "text"


def test_token_ids_count_once_for_all_inputs():
    ids = np.zeros([3, 128], np.int64)
    assert row_size([ids, ids, ids.astype(np.int32)]) == 4 * 128
    assert row_size([np.zeros(3, np.float32)]) == 4
    assert row_size([*texts(b"ab", b"abc"), *texts(b"abcd", b"")]) == 7
    assert row_size([*texts(b"ab", b"abc"), np.zeros([2, 5])]) == 3 + 20


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
