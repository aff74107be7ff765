"""Demonstrations: the sample study of the package, and a simulated study that runs without a user.

It uses the same `reading` and `study` code as the app, and runs the trainer as a separate program.
"""
