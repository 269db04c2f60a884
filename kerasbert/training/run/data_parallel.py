"""Several processes that train one model, each on its rows of every batch, with Keras's distribution API on JAX.

JAX computes on the whole batch, wherever its rows are stored. A mean over all masked positions of the batch is still
that mean, so several processes train exactly like a single one. (`tf.distribute` would average each worker's own mean.)
"""

import os
from typing import Any

import keras
from keras import tree

from kerasbert.errors import BadInputError


def join_processes() -> int:
    """Join the other processes, if the environment names any. Call this before any variable is created.

    Keras's environment variables define the group: `KERAS_DISTRIBUTION_JOB_ADDRESSES` (the first process's host:port),
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`.

    Returns:
        The number of this process, from 0. A single process has the number 0.

    Raises:
        BadInputError: the backend is not JAX.

    Example:
        >>> join_processes()  # no environment variables: a single process
        0
    """
    if int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")) == 1:
        return 0
    if keras.backend.backend() != "jax":
        raise BadInputError(
            "Several processes can only train together on the JAX backend. Received: the backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=jax."
        )
    import jax

    # Has no effect if there is an accelerator.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize()
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    return int(jax.process_index())


def own_rows(batch: Any) -> Any:
    """Return this process's rows of a batch, as arrays that span all processes.

    Args:
        batch: a nested structure of arrays with the same number of rows, identical in every process.

    Returns:
        The arrays. Without a distribution, the batch itself.

    Raises:
        BadInputError: the number of rows is not a multiple of the number of devices of all processes.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return batch
    import jax

    number, devices = jax.process_count(), jax.device_count()

    def spread(array: Any) -> Any:
        rows = len(array)
        if rows % devices:
            raise BadInputError(
                "A batch must have the same number of rows for each device. Received: "
                f"{rows} rows for {devices} devices. Choose a batch size that is a multiple of {devices}."
            )
        share = rows // number
        own = array[jax.process_index() * share : (jax.process_index() + 1) * share]
        layout = distribution.get_data_layout(own.shape)
        sharding = layout.backend_layout
        return jax.make_array_from_process_local_data(sharding, own)

    return tree.map_structure(spread, batch)
