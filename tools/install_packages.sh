#!/usr/bin/env bash
# Installs the Debian packages of a list that are missing; exact versions where the archive has them.
#
#     tools/install_packages.sh requirements/apt.txt
set -euo pipefail

list=$1
missing=()
while read -r entry; do
    name=${entry%%=*}
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$entry")
done < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$list")
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
wanted=()
for entry in "${missing[@]}"; do
    name=${entry%%=*}
    if [ "$name" = "$entry" ] || apt-cache madison "$name" | grep -qF "| ${entry#*=} |"; then
        wanted+=("$entry")
    else
        echo "setup: $entry is not in this release's archive; taking its own version" >&2
        wanted+=("$name")
    fi
done
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${wanted[@]}"
