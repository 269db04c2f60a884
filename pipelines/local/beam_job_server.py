"""Beam's job server in Python, for jobs with several worker processes. Beam's own command starts one for each job.

Started by portable_beam.py, in a process of its own.
"""

import argparse
import threading
from typing import Any

from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer


def main() -> None:
    """Serves until the process is killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()

    class Job(BeamJob):
        def _invoke_runner(self) -> Any:
            # Beam reads the number of workers only in a runner within the user's process.
            runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
            runner._num_workers = arguments.workers
            return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())

    LocalJobServicer(beam_job_type=Job).start_grpc_server(arguments.port)
    threading.Event().wait()


if __name__ == "__main__":
    main()
