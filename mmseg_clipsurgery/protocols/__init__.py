"""Evaluation protocols as data, and the config settings made from them."""
