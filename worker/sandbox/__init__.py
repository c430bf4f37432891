"""A local Crovver, with Stripe-style hosted checkout pages that send signed webhooks.

It answers the public Crovver API field for field, keeps everything in memory, and breaks on request. It speaks HTTP
only and knows nothing of the worker it is used against.

- ``app.create_app(config)``: the ASGI app.
- ``server.run(host, port, config, on_bound)``: the app under uvicorn, able to drop connections.
- ``config.SandboxConfig``: what it takes.
- ``routes/control.py``: the API under ``/sandbox/`` that sets it up, drives it and breaks it.
"""
