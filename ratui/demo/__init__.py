"""The demonstration: a phantom study made and read without a person, and the sample that comes with the package.

It uses the same `reading` and `study` code as the app, and calls the trainer as a program of its own.
"""
