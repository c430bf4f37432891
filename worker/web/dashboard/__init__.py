"""The dashboard: server-rendered pages for signed-in operators."""
