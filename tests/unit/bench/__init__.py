"""Tests of `adyton bench`: statistics, turns, table, drawing; nothing is measured here."""
