#!/usr/bin/env bash
# What several stages need, once and before any of them: side by side they would wait for apt's lock, and write to the
# same build folders.
source "$(dirname "$0")/common.sh"

# Each stage names its packages itself, in lines that begin with `need`.
mapfile -t lines < <(sed -n 's/^need \([a-z].*\)/\1/p' scripts/ci/*.sh)
read -ra packages <<<"${lines[*]}"
need "${packages[@]}"

node scripts/ensure-installed.mjs
build_here kernel_conformance
