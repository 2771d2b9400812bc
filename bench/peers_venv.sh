# make_peers_venv FOLDER REQUIREMENTS: a virtual environment FOLDER/venv with the Python side of the
# LibTorch that is there already, and what pip adds beside it. To be sourced.
make_peers_venv() {
  local folder=$1 requirements=$2
  if [[ -e $folder/installed ]]; then return; fi
  local torch=${WEFT_TORCH_DIR:-$PWD/.venv/lib/python3.11/site-packages/torch}
  /usr/bin/python3 -m venv "$folder/venv"
  local packages
  for packages in "$folder"/venv/lib/python3*/site-packages; do
    dirname "$torch" > "$packages/weft_torch.pth"
  done
  "$folder/venv/bin/pip" install --quiet -r "$requirements"
  touch "$folder/installed"
}
