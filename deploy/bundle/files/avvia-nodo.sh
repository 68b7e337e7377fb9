#!/bin/sh
# Raccordo, il programma di un ente. Senza parole prepara ciò che manca e resta in funzione (Ctrl-C per fermarlo); con parole è un comando:
#   ./avvia-nodo.sh status        ./avvia-nodo.sh --help
# I dati stanno in $HOME/raccordo, o dove dice RACCORDO_DIR.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
program="$here/ambiente/bin/raccordo-node"
if [ ! -x "$program" ]; then
    found=
    for python in ${RACCORDO_PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if command -v "$python" >/dev/null 2>&1 && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            found=$python
            break
        fi
    done
    [ -n "$found" ] || { echo "Serve Python 3.11 o successivo (su Debian: apt install python3)." >&2; exit 1; }
    "$found" "$here/installa.py" >&2
fi
export RACCORDO_DIR="${RACCORDO_DIR:-$HOME/raccordo}"
[ $# -eq 0 ] || exec "$program" "$@"
[ -f "$RACCORDO_DIR/raccordo.toml" ] || "$program" init
exec "$program" serve
