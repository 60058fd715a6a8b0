"""A stand-in for Stripe: its API on a loopback address, as strict as the real one about what it is sent.

What a request may hold is taken from the library's own types, which are made of Stripe's API specification.
"""

from tests.stripe_fake.server import KEY, SECRET, FakeStripe, fake_stripe

__all__ = ["KEY", "SECRET", "FakeStripe", "fake_stripe"]
