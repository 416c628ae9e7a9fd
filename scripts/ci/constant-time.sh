#!/usr/bin/env bash
# No branch and no address depends on a secret: valgrind is told that secrets are undefined memory, and reports every
# use of them in a jump or an index.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make valgrind libc6-dbg

build_here kernel_constant_time
for instruction_set in scalar avx2; do
  echo "[$stage] $instruction_set"
  TENSORGUARD_FORCE_ISA=$instruction_set valgrind --quiet --error-exitcode=1 --track-origins=yes \
    "$here/kernel_constant_time"
done
