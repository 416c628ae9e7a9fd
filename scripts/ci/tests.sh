#!/usr/bin/env bash
# What a developer runs before anything else: the tests as the README has them, and the rules.
source "$(dirname "$0")/common.sh"
need c++:g++ cmake:cmake make:make clang-format:clang-format python3:python3
need softhsm2-util:softhsm2 pkcs11-tool:opensc nats-server:nats-server chromium:chromium prometheus:prometheus

npm test
npm run lint
