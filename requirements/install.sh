#!/usr/bin/env bash
# Creates a virtual environment from a constraints file. The Makefile calls it:
#   requirements/install.sh PYTHON_VERSION FOLDER CONSTRAINTS UV_VERSION     (with TORCH_VERSION set: PyTorch too)
set -euo pipefail

version=$1 folder=$2 constraints=$3 uv_version=$4

# Prints the path of an interpreter of the given version: on the PATH, under pyenv (active or not), or managed by uv.
find_python() {
    local roots=("${PYENV_ROOT:-}" "$HOME/.pyenv" "$(pyenv root 2>/dev/null || true)") root candidate
    local candidates=("python$version")
    for root in "${roots[@]}"; do
        [ -n "$root" ] || continue
        for candidate in "$root/versions/$version" "$root"/versions/"$version".*; do
            candidates+=("$candidate/bin/python")
        done
    done
    candidates+=("$(uv python find "$version" 2>/dev/null || true)" python3)
    for candidate in "${candidates[@]}"; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "kerasbert needs Python $version. It is not on the PATH, under pyenv or under uv." >&2
    echo "Install it with 'pyenv install $version' or 'uv python install $version', then run the same command again." >&2
    return 1
}

python=$(find_python)
echo "Making $folder with $("$python" --version) from $constraints"
if [ "$("$folder/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)" != "$version" ]; then
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" 2>&1 | grep -v '^WARNING: Location' || true
if [ -z "${UV_LINK_MODE:-}" ] && ! "$python" - "$("$folder/bin/uv" cache dir)" "$folder" <<'END'
import os, sys
cache, folder = sys.argv[1:]
os.makedirs(cache, exist_ok=True)
sys.exit(os.stat(cache).st_dev != os.stat(folder).st_dev)
END
then
    # By default uv links the files of its cache into the environment, so that they take up space only once. Across file
    # systems this is impossible, and uv would print a warning.
    export UV_LINK_MODE=copy
fi
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --requirement "$constraints"
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --requirement requirements/no-deps.txt
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --editable .
if [ -n "${TORCH_VERSION:-}" ]; then
    # pip rather than uv, because pip also searches the wheel folders that a machine is configured with.
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "torch==$TORCH_VERSION"
fi
touch "$folder/.installed"
echo "Done: $folder"
