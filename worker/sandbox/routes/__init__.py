"""The HTTP faces of the sandbox: Crovver's API, Stripe's, the checkout pages, the control API and the index."""
