"""The command `raccordo-node`: which commands there are, and where the data lies. Nothing else.

Names are English, texts Italian. Exit codes: 0 done, 1 refused, 2 wrong usage. Results on standard output, everything
else on standard error. A command goes to the process that runs on --dir, or opens the store itself.
"""

from pathlib import Path

import click

from node import (
    cli_apps,
    cli_attachments,
    cli_backup,
    cli_cases,
    cli_catalogue,
    cli_forms,
    cli_keys,
    cli_late,
    cli_leaving,
    cli_map,
    cli_proofs,
    cli_rights,
    cli_routing,
    cli_sandbox,
    cli_setup,
    cli_slips,
)
from node.cli_kit import DEFAULT_DIR, ENV_DIR, ItalianGroup, Session
from node.runtime.cli_kit import Folder, version_option


@click.group("raccordo-node", cls=ItalianGroup)
@click.option("--dir", "data_dir", type=Folder(), envvar=ENV_DIR, default=DEFAULT_DIR,
              help=f"Cartella dei dati (./{DEFAULT_DIR}, o la variabile {ENV_DIR}).")  # fmt: skip
@click.option("--json", "json_", is_flag=True, help="Risposte in JSON, per programmi.")
@version_option
@click.pass_context
def cli(ctx: click.Context, data_dir: Path, json_: bool) -> None:
    """Raccordo: la mappa dei servizi e gli invii fra sportelli della rete.

    Per cominciare: init, poi serve e join. Ogni comando ha il suo aiuto: raccordo-node COMANDO --help
    """
    ctx.obj = Session(data_dir)
    ctx.obj.json = json_


for command in (
    *cli_setup.COMMANDS,
    *cli_keys.COMMANDS,
    *cli_apps.COMMANDS,
    *cli_backup.COMMANDS,
    *cli_catalogue.COMMANDS,
    *cli_map.COMMANDS,
    *cli_proofs.COMMANDS,
    *cli_slips.COMMANDS,
    *cli_cases.COMMANDS,
    *cli_forms.COMMANDS,
    *cli_routing.COMMANDS,
    *cli_late.COMMANDS,
    *cli_attachments.COMMANDS,
    *cli_rights.COMMANDS,
    *cli_sandbox.COMMANDS,
    *cli_leaving.COMMANDS,
):
    cli.add_command(command)


def main() -> None:
    """The entry point."""
    cli()


if __name__ == "__main__":
    main()
