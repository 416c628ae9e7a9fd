#!/usr/bin/env bash
# No branch and no address depends on a secret: valgrind is told that secrets are undefined memory, and reports every
# use of them in a jump or an index. Optimized as shipped, since the optimizer is what may bring a branch back.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make valgrind libc6-dbg

quietly "$scratch/build.log" cmake -S . -B "$scratch/build" -DTENSORGUARD_ADDON=OFF -DTENSORGUARD_TESTING=ON \
  -DTENSORGUARD_CONSTANT_TIME_CHECK=ON
quietly "$scratch/build.log" cmake --build "$scratch/build" --target kernel_constant_time --parallel "$(nproc)"

check() {
  valgrind --quiet --error-exitcode=99 --track-origins=yes "$scratch/build/testing/kernel_constant_time" "$@"
}

for mistake in branch index opening; do
  status=0
  check --planted "$mistake" >"$scratch/planted.log" 2>&1 || status=$?
  [ "$status" -eq 99 ] || { echo "[$stage] a planted $mistake went unnoticed (exit status $status)" >&2; exit 1; }
done

for instruction_set in scalar avx2; do
  echo "[$stage] $instruction_set"
  TENSORGUARD_FORCE_ISA=$instruction_set check
done
