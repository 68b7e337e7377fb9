"""Sealed post kept for other members: who, to whom, when, how big; never what."""
