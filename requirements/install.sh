#!/usr/bin/env bash
# Creates a virtual environment for one of the stacks. The Makefile calls it:
#   requirements/install.sh FOLDER STACK UV_VERSION     (with TORCH_VERSION set: PyTorch too)
#
# STACK is the name of a constraints file in this folder, or `auto`: tfx1.21 if the C library is glibc 2.39 or newer and
# Python 3.13, 3.12 or 3.11 is found, otherwise tfx1.16 on Python 3.10. The stacks bench/* are other libraries, which
# benchmarks/inference compares with kerasbert. They do not contain kerasbert itself.
set -euo pipefail

folder=$1 stack=$2 uv_version=$3

# Prints the path of an interpreter of one of the given versions, the first version preferred: on the PATH, under pyenv
# (active or not), or managed by uv. Fails if there is none.
find_python() {
    local version root candidate candidates
    for version in "$@"; do
        candidates=("python$version")
        for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" "$(pyenv root 2>/dev/null || true)"; do
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
    done
    return 1
}

fail() {
    echo "$*" >&2
    exit 1
}

# The wheels of TFX 1.21 are built for glibc 2.39.
has_new_glibc() {
    local glibc
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d ' ' -f 2) || return 1
    [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -n 1)" = 2.39 ]
}

case $stack in
auto)
    if has_new_glibc && python=$(find_python 3.13 3.12 3.11); then
        stack=tfx1.21
    elif python=$(find_python 3.10); then
        stack=tfx1.16
    elif has_new_glibc; then
        fail "kerasbert needs Python 3.11, 3.12 or 3.13 with its venv module, and found none on the PATH, under pyenv or" \
            "under uv. On Debian 13 and Ubuntu 24.04, run 'apt-get install python3-venv'; then repeat the command."
    else
        fail "On glibc before 2.39, kerasbert's pipelines need Python 3.10, and there is none on the PATH, under pyenv or" \
            "under uv. Run 'pyenv install 3.10' or 'uv python install 3.10'; then repeat the command."
    fi
    ;;
tfx1.21) python=$(find_python 3.13 3.12 3.11) || fail "The stack tfx1.21 needs Python 3.11, 3.12 or 3.13 with its venv module." ;;
tfx1.16) python=$(find_python 3.10) || fail "The stack tfx1.16 needs Python 3.10 with its venv module." ;;
latest | bench/*)
    python=$(find_python 3.11 3.12 3.13) || fail "The stack $stack needs Python 3.11, 3.12 or 3.13 with its venv module."
    ;;
*) fail "KERASBERT_STACK must be auto, tfx1.21 or tfx1.16. Received: '$stack'." ;;
esac

if [[ $stack == tfx* ]]; then
    # pyfarmhash, which TensorFlow Data Validation imports, has no wheel. Without this check its installation would fail
    # after minutes of downloads.
    headers=$("$python" -c 'import os, sysconfig; print(os.path.join(sysconfig.get_path("include"), "Python.h"))')
    if ! command -v g++ >/dev/null || [ ! -f "$headers" ]; then
        fail "kerasbert's pipelines compile one package, which needs g++ and Python's headers ($headers)." \
            "On Debian and Ubuntu, run 'apt-get install g++ python3-dev'; then repeat the command."
    fi
fi

constraints=requirements/$stack.txt
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
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
if [ -n "${TORCH_VERSION:-}" ]; then
    # First, so that no other package requires a build that is chosen otherwise. pip rather than uv, because pip also
    # searches the wheel folders that a machine is configured with.
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "torch==$TORCH_VERSION"
fi
"$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --requirement "$constraints"
if [[ $stack != bench/* ]]; then
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --requirement requirements/no-deps.txt
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --editable . --editable serving
fi
touch "$folder/.installed"
echo "Done: $folder"
