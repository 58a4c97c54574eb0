#!/usr/bin/env bash
# Builds core and trainer on a GPU machine, tests and measures them there, and writes a report.
#
#     tests/gpu/run_all.sh [--out FOLDER] [--seconds N] [--rounds N] [--models A,B] [--jobs N] [--device cuda|cpu]
#
# The machine needs CMake, a C++20 compiler and a Python with PyTorch 2.11 (PYTHON names another than python3), no
# network. What else the build needs is in build/gpu-bundle, made by scripts/gpu-bundle where packages are to be had.
# open_clip, which ours is measured beside, is taken from there where the machine has none.
# Every step's end is in FOLDER/report.md (default: build/gpu-report); the exit code is 0 when all went well.
# --device cpu tries this script itself on a machine without a GPU.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=build/gpu-report
seconds=5
rounds=2
jobs=$(nproc)
device=cuda
models=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2 ;;
    --seconds) seconds=$2 ;;
    --rounds) rounds=$2 ;;
    --models) models=(--models "$2") ;;
    --jobs) jobs=$2 ;;
    --device) device=$2 ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift 2
done
python=${PYTHON:-python3}
build=build/gpu
[ "$device" = cpu ] && models=(--models ViT-B-32 --batch 8)  # the rest takes a GPU
peers=$PWD/$build/peers
mkdir -p "$out"
report=$out/report.md
failed=0

step() { # step NAME COMMAND...: its output in a file of its own, its end and time in the report
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  if "$@" >"$out/$name.log" 2>&1; then
    echo "- $name: ok, $((SECONDS - start)) s" >>"$report"
  else
    echo "- $name: FAILED with exit code $?, $((SECONDS - start)) s; the end of $name.log:" >>"$report"
    tail -n 20 "$out/$name.log" | sed 's/^/      /' | tee -a "$report" >&2
    failed=1
    return 1
  fi
}

{
  echo "# GPU report"
  echo
  echo "Commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(date -u +%Y-%m-%d)."
  if [ "$device" = cuda ]; then nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader; fi
  "$python" -c "import torch; print('PyTorch', torch.__version__)" 2>/dev/null
  echo
} >"$report"

# Unpacks, of the bundle's wheels, those of packages that this Python has not: what it has fits its PyTorch.
unpack_peers() {
  rm -rf "$peers"
  mkdir -p "$peers"
  "$python" - build/gpu-bundle/wheels "$peers" <<'END'
import importlib.metadata as metadata, pathlib, sys, zipfile
here = f"cp{sys.version_info.major}{sys.version_info.minor}"
for wheel in sorted(pathlib.Path(sys.argv[1]).glob("*.whl")):
    name, _, python, abi, _ = wheel.name.split("-", 4)
    try:
        print(name, metadata.version(name), "is here")
        continue
    except metadata.PackageNotFoundError:
        pass
    if abi == "none" or abi == "abi3" or python == here:
        zipfile.ZipFile(wheel).extractall(sys.argv[2])
        print(name, "unpacked")
    else:
        print(f"{wheel.name} is not for this Python, {here}: open_clip may not be measured")
END
}

torch=$("$python" -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))") || {
  echo "no PyTorch in $python" | tee -a "$report" >&2
  exit 1
}
step configure cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DSWEEP_TRAINER_ONLY=ON -DSWEEP_TESTS=ON \
  -DSWEEP_TORCH_DIR="$torch" -DCMAKE_PREFIX_PATH="$PWD/build/gpu-bundle" || exit 1
step build cmake --build "$build" -j "$jobs" --target clip_train gpu_tests || exit 1
step gpu_tests "$build/bin/gpu_tests" --durations yes
step peers unpack_peers
# Captions are shorter than the context: a second row has texts of 8 to 32 tokens.
step benchmark env PYTHONPATH="$peers${PYTHONPATH:+:$PYTHONPATH}" "$python" benchmarks/trainer/gpu_models.py \
  --clip-train "$build/bin/clip_train" --device "$device" "${models[@]}" --seconds "$seconds" --rounds "$rounds" \
  --text-tokens 8 32 --report "$out/benchmark.json" && {
  echo
  "$python" benchmarks/trainer/gpu_models.py --table "$out/benchmark.json"
} >>"$report"
cat "$report"
exit $failed
