#!/usr/bin/env bash
# Runs a command, by default `make test`, on Debian 13 in a copy of the committed tree:
#   tests/on_debian_13/run.sh [FOLDER [COMMAND]]
#
# FOLDER, by default .trixie, becomes the root of a Debian 13: it is made by debootstrap if it is empty, which needs the
# rights of root, two minutes and, with the environment, 6 GB of disk. A second run reuses it. The packages that the
# README asks for are installed, and nothing else, so that the run shows that they are enough.
#
# DEBIAN_MIRROR is the mirror to install from, by default the one that debootstrap chooses.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

root=$(realpath -m "${1:-.trixie}") command=${2:-make test}

fail() {
    echo "$*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "A Debian root can only be made and entered with the rights of root. Run this as root."
command -v debootstrap >/dev/null || fail "Debian roots are made by debootstrap. Run 'apt-get install debootstrap'."

# Runs a command in the root. What is mounted for it exists only in its own namespace, so that nothing stays mounted.
inside() {
    unshare --mount bash -c 'for place in proc dev; do mount --rbind "/$place" "$0/$place"; done; exec "$@"' "$root" \
        chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive "${settings[@]}" bash -c "$1"
}

# Settings of this machine for package indexes and certificates, which the new root needs as well.
settings=()
while IFS='=' read -r name value; do
    case $name in
    PIP_FIND_LINKS) ;; # A folder of this machine.
    PIP_* | UV_* | SSL_CERT_* | *_CA_BUNDLE | *_proxy | *_PROXY | KERASBERT_STACK | JOBS) settings+=("$name=$value") ;;
    esac
done < <(env)

if [ ! -e "$root/etc/debian_version" ]; then
    echo "Making a Debian 13 root in $root"
    debootstrap --variant=minbase --include=ca-certificates trixie "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 ||
        fail "debootstrap failed; see $root.log. Delete $root before you try again."
    rm "$root.log"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
for place in /etc/pip.conf /root/.config/pip/pip.conf /root/.config/uv/uv.toml; do
    [ ! -f "$place" ] || install -D "$place" "$root$place"
done
# Certificates that this machine trusts in addition to Debian's.
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    install -D /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi

inside "apt-get -qq update && apt-get -qq install --no-install-recommends git make g++ python3-dev python3-venv >/dev/null"
# A bundle, because a root cannot see folders outside it.
bundle=root/kerasbert.bundle
rm -f "$root/$bundle"
git bundle create --quiet "$root/$bundle" HEAD
inside "
    set -e
    cd /root
    git config --global --add safe.directory '*'
    [ -d kerasbert ] || git init --quiet kerasbert
    cd kerasbert
    git fetch --quiet /$bundle HEAD
    git checkout --quiet --force --detach FETCH_HEAD
    grep PRETTY_NAME /etc/os-release; getconf GNU_LIBC_VERSION; python3 --version
    $command
"
