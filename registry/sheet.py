"""The sheet a guarantor prints: the key to type again, what it is for, what not to do. Text and HTML, Italian."""

from html import escape
from typing import Final

from registry.ceremony import PILOT_MARK, GuarantorKey, seed_lines

_USE: Final = (
    "Serve a firmare, insieme agli altri garanti, la radice della rete e le ammissioni degli aderenti.",
    "Si usa solo su un computer dell'ente garante, mai sul server della bacheca d'Ambito.",
    "Conservare il foglio in busta chiusa, in cassaforte o con gli atti riservati, lontano dalla chiavetta.",
    "Chi legge questo foglio può firmare al posto del garante: se si perde, avvisare subito l'ente capofila.",
)


def sheet_text(key: GuarantorKey, network: str, *, pilot: bool) -> str:
    """Plain text, ready to print."""
    return "\n".join(
        [
            *([f"*** {PILOT_MARK} ***", ""] if pilot else []),
            "FOGLIO DELLA CHIAVE DEL GARANTE",
            f"Rete: {network}",
            f"Garante: {key.name}",
            f"Impronta pubblica: {key.public.x}",
            "",
            "Chiave (da ricopiare se la chiavetta si rompe; le ultime lettere di ogni riga sono di controllo):",
            "",
            *(f"  {n})  {text}" for n, text in enumerate(seed_lines(key.seed), 1)),
            "",
            *(f"- {text}" for text in _USE),
            "",
        ]
    )


def sheet_html(key: GuarantorKey, network: str, *, pilot: bool) -> str:
    """One page without scripts, styles from outside or pictures."""
    lines = "".join(f"<li>{escape(text)}</li>" for text in seed_lines(key.seed))
    uses = "".join(f"<li>{escape(text)}</li>" for text in _USE)
    mark = f"<p><strong>{PILOT_MARK}</strong></p>" if pilot else ""
    return (
        '<!DOCTYPE html><html lang="it"><head><meta charset="utf-8"><title>Foglio della chiave del garante</title>'
        "<style>body{font:14pt/1.5 sans-serif;margin:2cm}ol{font:20pt/2 monospace}</style></head><body>"
        f"{mark}<h1>Foglio della chiave del garante</h1><p>Rete: {escape(network)}<br>Garante: {escape(key.name)}<br>"
        f"Impronta pubblica: <code>{escape(key.public.x)}</code></p><ol>{lines}</ol><ul>{uses}</ul></body></html>\n"
    )
