"""Several processes that train one model, each on its rows of every batch, with Keras' own distribution on JAX.

JAX computes on the whole batch, wherever its rows lie: a loss that is a mean over all masked positions of the batch
stays that, so that several processes train as one does. (`tf.distribute` would average each worker's own mean.)
"""

import os
from typing import Any

import keras
from keras import tree

from kerasbert.errors import BadInputError


def join_processes() -> int:
    """Joins the other processes, if the environment names any; before any variable is made.

    Keras' variables say who belongs together: `KERAS_DISTRIBUTION_JOB_ADDRESSES` (the first process's host:port),
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`.

    Returns:
        The number of this process, from 0; 0 when it is alone.

    Raises:
        BadInputError: the backend is not JAX.
    """
    if int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")) == 1:
        return 0
    if keras.backend.backend() != "jax":
        raise BadInputError(
            "Several processes train together on the JAX backend only. Received: the backend "
            f"{keras.backend.backend()!r}. Set KERAS_BACKEND=jax."
        )
    import jax

    # Ignored where there is an accelerator.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize()
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    return int(jax.process_index())


def own_rows(batch: Any) -> Any:
    """This process's rows of a batch, as arrays that span all processes; the batch itself without a distribution.

    Args:
        batch: any nesting of arrays with the same number of rows, the same in every process.

    Raises:
        BadInputError: the rows do not go evenly into the devices of all processes.
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
                "The rows of a batch must go evenly into the devices. Received: "
                f"{rows} rows for {devices} devices. Give a batch size that is a multiple of {devices}."
            )
        share = rows // number
        own = array[jax.process_index() * share : (jax.process_index() + 1) * share]
        layout = distribution.get_data_layout(own.shape)
        sharding = layout.backend_layout
        return jax.make_array_from_process_local_data(sharding, own)

    return tree.map_structure(spread, batch)
