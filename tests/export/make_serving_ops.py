"""Makes `kerasbert/export/serving_ops.json` from unpacked wheels.

A program, not a test. FOLDER contains a folder for each minor version, e.g. `2.12/`, with the unpacked
wheels of `tensorflow-cpu` (the last patch release of that minor version) and of the `tensorflow-text` that TF Serving
of that version links (`org_tensorflow_text` in its `tensorflow_serving/workspace.bzl`: 2.12.1 up to TF Serving 2.19,
2.20.0 in 2.20; left out if there is no such TF Serving):

    python tests/export/make_serving_ops.py FOLDER > kerasbert/export/serving_ops.json
"""

import json
import subprocess
import sys
from pathlib import Path

SOURCE = (
    "By tests/export/make_serving_ops.py from the op registries of the wheels tensorflow-cpu 2.12.1, 2.13.1, 2.14.1, "
    "2.15.1, 2.16.2, 2.17.1, 2.18.1, 2.19.1, 2.20.0, 2.21.0 and tensorflow-text 2.12.1, 2.20.0. Ops without a CPU "
    "kernel are left out. Each op is listed under the first version of TF Serving whose wheels have it."
)
PROGRAM = Path(__file__).with_name("registered_ops.py")


def registered(version_folder, with_text):
    """Return the ops of one version that run on a CPU, with their attributes."""
    core = version_folder / "tensorflow"
    libraries = [core / "libtensorflow_framework.so.2", core / "libtensorflow_cc.so.2"]
    if with_text:
        libraries += sorted((version_folder / "tensorflow_text" / "python" / "ops").glob("*.so"))
    done = subprocess.run([sys.executable, PROGRAM, *libraries], check=True, capture_output=True, text=True)
    # A leading underscore marks ops that only the runtime adds to a graph. No SavedModel has them.
    return {
        name: set(op["attributes"])
        for name, op in json.loads(done.stdout).items()
        if op["cpu"] and not name.startswith("_")
    }


def main():
    """Print the first version that has each op, and each attribute that was added to an op later."""
    folders = sorted(Path(sys.argv[1]).iterdir(), key=lambda folder: [int(part) for part in folder.name.split(".")])
    table = {"source": SOURCE, "tensorflow": {}, "tensorflow_text": {}, "attributes": {}}
    known, known_text = {}, set()
    for folder in folders:
        core = registered(folder, with_text=False)
        table["tensorflow"][folder.name] = sorted(set(core) - set(known))
        later = {name: sorted(core[name] - known[name]) for name in sorted(set(core) & set(known))}
        table["attributes"][folder.name] = {name: attributes for name, attributes in later.items() if attributes}
        known = {name: core.get(name, set()) | known.get(name, set()) for name in {*core, *known}}
        if (folder / "tensorflow_text").is_dir():
            text = set(registered(folder, with_text=True)) - set(core)
            table["tensorflow_text"][folder.name] = sorted(text - known_text)
            known_text |= text
    print(json.dumps(table, indent=0))


if __name__ == "__main__":
    main()
