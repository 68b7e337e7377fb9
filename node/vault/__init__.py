"""Encryption at rest and the access log. Nothing here travels."""
