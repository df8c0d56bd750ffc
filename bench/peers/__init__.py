"""The peers: other queues, each doing the measured work as a program of its own, as they are normally used.

A program takes one argument, a JSON object (`mode`, `url` of a Valkey, and numbers), and prints one line of JSON.
"""
