# Sourced by every stage of CI: each runs alone, from anywhere, and says how long it took.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

stage=$(basename "$0" .sh)
scratch=$PWD/build-ci/$stage
mkdir -p "$scratch"

report() {
  local status=$?
  local outcome=passed
  [ "$status" -eq 0 ] || outcome=FAILED
  echo "[$stage] $outcome after $SECONDS s"
}
trap report EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# Installs Debian packages that are missing. Arguments are package names, or command:package where a command from
# elsewhere does as well.
need() {
  local missing=() item
  for item in "$@"; do
    if [[ $item == *:* ]] && command -v "${item%%:*}" >/dev/null; then continue; fi
    if dpkg-query -W -f='${db:Status-Status}\n' "${item#*:}" 2>/dev/null | grep -qx installed; then continue; fi
    missing+=("${item#*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    echo "[$stage] needs Debian packages that are missing; as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "[$stage] installing ${missing[*]}"
  apt-get update -qq
  without_services env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}

# Runs a command of apt. Daemons that packages bring are not started: stages run their own, on ports of their own.
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  [ ! -e "$policy" ] || policy=
  [ -z "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"; }
  quietly "$scratch/apt.log" "$@" || status=$?
  [ -z "$policy" ] || rm -f "$policy"
  return "$status"
}

# build_here TARGET: one of the programs of test/native, beside the addon and from the same objects. Leaves it as
# $here/TARGET.
here=$PWD/build/testing
build_here() {
  node scripts/ensure-installed.mjs
  # Two stages may build here at once.
  quietly "$scratch/build.log" flock build cmake --build build --target "$1" --parallel "$(nproc)"
}

# quietly LOG COMMAND...: the output matters only when the command fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}
