#!/usr/bin/env bash
# Makes the environments of the peers that `make bench PEERS=DIR` compares with, outside of this project.
#
#   scripts/make_peers.sh DIR                     every peer: DIR/venv-vectorbt, DIR/venv-nautilus, ...
#   scripts/make_peers.sh DIR vectorbt nautilus   some of them
#
# The versions are those of benchmarks/pins/NAME.txt, or of locks/peer-NAME.txt for a peer whose fills are compared too.
# PEERS_PYTHON names the interpreter (default python3.11: nautilus of these pins has none newer). An environment that is
# complete is left alone; one whose pins changed is made anew.
# Exit codes: 0 done, 1 an environment could not be made, 2 wrong words.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

refuse() {
  echo "make_peers: $1" >&2
  exit "$2"
}

pins_of() { # name
  local file=$here/benchmarks/pins/$1.txt
  [ -f "$file" ] || file=$here/locks/peer-$1.txt
  echo "$file"
}

known() {
  local file names=()
  for file in "$here"/benchmarks/pins/*.txt "$here"/locks/peer-*.txt; do
    file=$(basename "$file" .txt)
    names+=("${file#peer-}")
  done
  echo "${names[*]}"
}

make_one() { # name, folder, interpreter
  local venv=$2/venv-$1 wanted
  wanted=$(pins_of "$1")
  if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$venv/.pins"; then
    echo "$1: as pinned already"
    return
  fi
  echo "$1: installing $(grep -c == "$wanted") packages"
  "$3" -m venv --clear "$venv" || refuse "$3 could not make venv-$1; next: apt install python3-venv (Debian, Ubuntu)" 1
  if [ -x "$here/venv/bin/uv" ]; then
    "$here/venv/bin/uv" pip install --quiet --python "$venv/bin/python" -r "$wanted" || refuse "venv-$1 was not completed" 1
  else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" || refuse "venv-$1 was not completed" 1
  fi
  cp "$wanted" "$venv/.pins"
}

case ${1:-} in
  -h | --help) usage && exit 0 ;;
  "" | -*) refuse "the folder for the environments is missing; next: scripts/make_peers.sh DIR [NAME...]" 2 ;;
esac
folder=$1
shift
python=${PEERS_PYTHON:-python3.11}
command -v "$python" >/dev/null || refuse "there is no $python; next: PEERS_PYTHON=python3 scripts/make_peers.sh $folder" 2
[ $# -gt 0 ] || read -ra all <<<"$(known)"
for name in "${@:-${all[@]}}"; do
  [ -f "$(pins_of "$name")" ] || refuse "no peer is called $name, they are: $(known)" 2
done
mkdir -p "$folder"
for name in "${@:-${all[@]}}"; do make_one "$name" "$folder" "$python"; done
