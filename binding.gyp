{
  # For machines that no prebuilt addon fits: `npx node-gyp rebuild` in the package's folder. The project itself builds
  # with CMake; both read native/sources.txt.
  "targets": [
    {
      "target_name": "tensorguard_native",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('native/sources.txt', 'utf8').match(/^(core|addon) .*$/gm).map((line) => line.replace(/^[^ ]+ +/, '')).join(' ')\")"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags!": ["-O2"],
      "cflags": ["-O3", "-fvisibility=hidden", "-ffp-contract=off"],
      # The core throws std::bad_alloc, which the addon catches.
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++20", "-std=gnu++17"],
      "cflags_cc": ["-std=c++17", "-fvisibility-inlines-hidden"]
    }
  ]
}
