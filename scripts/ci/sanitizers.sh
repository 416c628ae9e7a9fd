#!/usr/bin/env bash
# The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, built by gcc and by clang.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make clang++:clang libclang-rt-14-dev

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1

# Unoptimized: the unrolled kernels take minutes to compile with the sanitizers' checks under an optimizer.
for compiler in g++ clang++; do
  echo "[$stage] $compiler"
  quietly "$scratch/$compiler.log" cmake -S . -B "$scratch/$compiler" -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_BUILD_TYPE=Debug -DTENSORGUARD_SANITIZE=address,undefined \
    -DTENSORGUARD_ADDON=OFF -DTENSORGUARD_TESTING=ON
  quietly "$scratch/$compiler.log" cmake --build "$scratch/$compiler" --target kernel_conformance --parallel "$(nproc)"
  "$scratch/$compiler/testing/kernel_conformance" --quick
done
