"""A seeded simulator of the whole: the real core and engine over a store, a Crovver and a Stripe that fail."""
