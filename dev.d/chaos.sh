# shellcheck shell=bash disable=SC2154,SC2034
# `./dev chaos`: a whole nginx under load while its processes are killed and its configuration is
# reloaded. What it can be told: ./dev chaos --help.

chaos() {
  install_packages run test
  module_build
  cmake --preset release >/dev/null
  cmake --build build/release -j "$jobs" --target chaos
  SMALL_DB_MODULE=$module_file build/release/chaos "$@"
}
