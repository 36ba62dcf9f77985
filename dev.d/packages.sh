# shellcheck shell=bash disable=SC2154,SC2034
# Debian packages: which command needs which, and the installation of those that are missing.

packages_build="nginx nginx-dev g++ make dpkg-dev nlohmann-json3-dev libcurl4-openssl-dev"
packages_tool="g++ cmake ninja-build nlohmann-json3-dev"
packages_run="$packages_build curl"
packages_test="$packages_run cmake ninja-build libgtest-dev libbenchmark-dev
  clang libclang-rt-14-dev llvm-14 openssl"
packages_lint="clang-format clang-tidy cmake ninja-build g++ clang libgtest-dev nlohmann-json3-dev
  libcurl4-openssl-dev nginx-dev dpkg-dev make"
# redis-tools holds Redis's server, too; redis-server would start one as a service.
packages_bench_quick="$packages_run cmake ninja-build libgtest-dev libbenchmark-dev
  wrk redis-tools util-linux"
packages_bench="$packages_bench_quick nghttp2-client"

packages_profile="curl valgrind"

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages SET...: as root, or with sudo; does nothing when nothing is missing.
install_packages() {
  local missing=() set variable package sudo=()
  for set in "$@"; do
    variable=packages_$set
    [ -n "${!variable:-}" ] || die "no set of packages is called $set"
    for package in ${!variable}; do
      is_installed "$package" || missing+=("$package")
    done
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "run this as root first: apt-get install --no-install-recommends ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing: ${missing[*]}"
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  local install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
  mkdir -p "$log_dir"
  # The lists may be missing or old: then they are fetched, and it is tried again.
  if ! "${install[@]}" </dev/null >"$log_dir/packages.log" 2>&1; then
    "${apt[@]}" update </dev/null
    "${install[@]}" </dev/null >"$log_dir/packages.log" 2>&1 ||
      { tail -n 30 "$log_dir/packages.log" >&2; die "could not install the packages"; }
  fi
}

# Leaves Prometheus's checking tool in build/promtool. The package is only unpacked: installed, it
# would start a server.
fetch_promtool() {
  local folder=$root/build/promtool
  [ ! -x "$folder/promtool" ] || return 0
  mkdir -p "$folder/package"
  (
    cd "$folder/package"
    apt-get -qq download prometheus || { apt-get -qq update && apt-get -qq download prometheus; }
    dpkg-deb -x prometheus_*.deb .
  ) >"$log_dir/promtool.log" 2>&1 </dev/null || die "could not get the package prometheus"
  mv "$folder/package/usr/bin/promtool" "$folder/promtool"
  rm -rf "$folder/package"
}
