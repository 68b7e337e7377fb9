"""What every test session shares."""

from hypothesis import settings

# How long an example takes is a question for bench/, not for a test that may share its core with anything.
settings.register_profile("raccordo", deadline=None)
settings.load_profile("raccordo")
