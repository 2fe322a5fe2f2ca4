#!/usr/bin/env bash
# Installs Rust below a folder, by a pinned rustup: the version that rust-toolchain.toml names.
#
#     RUSTUP_HOME=… CARGO_HOME=… tools/install_rust.sh .venv/bin
set -euo pipefail

bin=$1
"$bin/pip" install --quiet --require-hashes -r requirements/rustup.txt
# One program under many names: by this one it installs itself.
(exec -a rustup-init "$bin/rustup" -y --quiet --no-modify-path --default-toolchain none) >/dev/null
if ! "$CARGO_HOME/bin/rustup" toolchain install; then
    echo "setup: there is no cargo, and rustup can't fetch Rust; install the version that rust-toolchain.toml names" >&2
    exit 1
fi
