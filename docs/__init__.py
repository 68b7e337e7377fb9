"""The documents of Raccordo and the programs that keep their tables true. Nothing here is installed."""
