"""The node's interface for other programs, over the commands of the command line. No rule of a use case is here."""
