#!/usr/bin/env bash
# Processors older than this one: an instruction that leaks out of its instruction set's file is an illegal
# instruction there, and would go unnoticed here.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make qemu-x86_64-static:qemu-user-static

build_here kernel_conformance
for processor in Nehalem Haswell; do
  echo "[$stage] $processor"
  # The emulator lists the processor's features that it lacks; none of them is for programs.
  qemu-x86_64-static -cpu "$processor" "$here/kernel_conformance" --quick 2> >(grep -v "TCG doesn't support" >&2)
done
