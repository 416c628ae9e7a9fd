#!/usr/bin/env bash
# The tarball as a user gets it: both prebuilt addons in it, installed into an empty folder with no compiler used.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make aarch64-linux-gnu-g++:g++-aarch64-linux-gnu

node scripts/ensure-installed.mjs
sha256sum build/Release/*.node build/testing/*.node >"$scratch/development.sha256"
quietly "$scratch/prebuild.log" node scripts/prebuild.mjs
# prebuildify moves what it finds away, which must not be the addon that one develops with.
quietly "$scratch/development.log" sha256sum --check "$scratch/development.sha256"
grep '^Built' "$scratch/prebuild.log"

rm -f "$scratch"/*.tgz
# Scripts are off: prepare has run, and a user's install must not need one.
npm pack --silent --ignore-scripts --pack-destination "$scratch" >/dev/null
tarball=$(ls "$scratch"/tensorguard-native-*.tgz)
tar -tzf "$tarball" >"$scratch/contents.txt"
for file in prebuilds/linux-x64/tensorguard-native.glibc.node prebuilds/linux-arm64/tensorguard-native.glibc.node \
  dist/bin/tensorguard-native.js dist/lib/index.js dist/page/index.html dist/page/page.js CMakeLists.txt binding.gyp native/sources.txt; do
  grep -qx "package/$file" "$scratch/contents.txt" || { echo "[$stage] the tarball lacks $file" >&2; exit 1; }
done
if grep -E '^package/(dist/test|test|node_modules|build)/' "$scratch/contents.txt"; then
  echo "[$stage] the tarball holds what it should not (above)" >&2
  exit 1
fi

installed=$scratch/installed
rm -rf "$installed"
mkdir -p "$installed"
echo '{ "private": true }' >"$installed/package.json"
(cd "$installed" && quietly "$scratch/install.log" npm install --ignore-scripts --no-audit --no-fund "$tarball")
(
  cd "$installed"
  node --input-type=module -e "await import('tensorguard-native')"
  npx --no-install tensorguard-native doctor
)
