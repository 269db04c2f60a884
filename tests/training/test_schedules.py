import json

import keras
import numpy as np
import pytest

from kerasbert.training import LinearWarmupDecay, OneCycle, OriginalWarmupDecay, WarmupStableDecay

pytestmark = pytest.mark.backend


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_linear_warm_up_and_decay_meet_at_the_peak():
    schedule = LinearWarmupDecay(peak=2e-4, warmup_steps=100, total_steps=1000)
    expected = [0.0, 1e-4, 2e-4, 1e-4, 0.0, 0.0]
    np.testing.assert_allclose(rates(schedule, (0, 50, 100, 550, 1000, 5000)), expected, rtol=1e-6)


def test_the_original_decay_starts_at_step_0_so_that_the_rate_drops_after_warm_up():
    schedule = OriginalWarmupDecay(peak=1e-4, warmup_steps=10_000, total_steps=100_000)
    # lr * step / warmup below the warm-up's end, lr * (1 - step / total) from there on
    expected = [0.0, 9.999e-5, 9e-5, 5e-5, 0.0]
    np.testing.assert_allclose(rates(schedule, (0, 9_999, 10_000, 50_000, 100_000)), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [LinearWarmupDecay, OriginalWarmupDecay])
def test_without_warm_up_it_begins_at_the_peak(kind):
    assert rates(kind(peak=1.0, warmup_steps=0, total_steps=4), range(5)) == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_warm_up_stable_decay_falls_with_the_square_root_at_the_end():
    schedule = WarmupStableDecay(peak=2e-4, warmup_steps=100, total_steps=1000, decay_steps=100)
    expected = [0.0, 1e-4, 2e-4, 2e-4, 2e-4, 2e-4 * (1 - 0.5), 2e-4 * (1 - np.sqrt(0.81)), 0.0, 0.0]
    np.testing.assert_allclose(rates(schedule, (0, 50, 100, 500, 900, 925, 981, 1000, 5000)), expected, atol=1e-10)


def test_one_cycle_follows_two_cosines():
    schedule = OneCycle(peak=1.0, warmup_steps=30, total_steps=100)
    rising = [0.04 + 0.96 * (1 - np.cos(np.pi * step / 30)) / 2 for step in (0, 10, 29)]
    falling = [4e-6 + (1 - 4e-6) * (1 + np.cos(np.pi * (step - 30) / 70)) / 2 for step in (30, 50, 99, 100)]
    np.testing.assert_allclose(rates(schedule, (0, 10, 29, 30, 50, 99, 100)), [*rising, *falling], atol=1e-6)


@pytest.mark.parametrize("kind", [LinearWarmupDecay, OriginalWarmupDecay, OneCycle])
def test_a_schedule_can_be_restored_from_its_config(kind):
    schedule = kind(peak=1e-3, warmup_steps=3, total_steps=9)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(schedule)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is kind
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(
    "arguments",
    [
        {"peak": 0.0, "warmup_steps": 0, "total_steps": 1},
        {"peak": float("nan"), "warmup_steps": 0, "total_steps": 1},
        {"peak": float("inf"), "warmup_steps": 0, "total_steps": 1},
        {"peak": 1.0, "warmup_steps": 2, "total_steps": 1},
        {"peak": 1.0, "warmup_steps": -1, "total_steps": 1},
        {"peak": 1.0, "warmup_steps": 0, "total_steps": 0},
    ],
)
def test_an_invalid_schedule_is_refused_with_its_values(arguments):
    with pytest.raises(ValueError, match="Received: "):
        LinearWarmupDecay(**arguments)


def test_the_decay_fits_after_the_warm_up():
    with pytest.raises(ValueError, match="Received: decay_steps=3, warmup_steps=2, total_steps=4"):
        WarmupStableDecay(1.0, warmup_steps=2, total_steps=4, decay_steps=3)
    schedule = WarmupStableDecay(1e-3, 1, 9, 3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again.get_config() == schedule.get_config()
