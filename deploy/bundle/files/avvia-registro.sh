#!/bin/sh
# Raccordo, la bacheca d'Ambito. Senza parole prepara ciò che manca e resta in funzione (Ctrl-C per fermarlo); con parole è un comando:
#   ./avvia-registro.sh status        ./avvia-registro.sh --help
# I dati stanno in $HOME/bacheca, o dove dice RACCORDO_REGISTRY_DIR.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
program="$here/ambiente/bin/raccordo-registry"
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
export RACCORDO_REGISTRY_DIR="${RACCORDO_REGISTRY_DIR:-$HOME/bacheca}"
[ $# -eq 0 ] || exec "$program" "$@"
[ -f "$RACCORDO_REGISTRY_DIR/raccordo.toml" ] || "$program" init
exec "$program" serve
