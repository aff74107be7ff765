"""Samples for training: crops of joint pairs, whole hands, phantoms, COCO files."""
