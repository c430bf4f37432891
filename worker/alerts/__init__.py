"""What is made of alerts once they are decided: one message per channel, in plain words, sent at the right time.

This room knows the core only. It keeps nothing and waits for nothing: ``worker.actors.alerts`` joins it with the store.
"""
