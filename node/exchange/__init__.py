"""Referrals on their way: what was written, what is to be sent, what arrived, who acknowledged what."""
