"""The referral use cases of a desk, both sides. They know no HTTP and no terminal."""
