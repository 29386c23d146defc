"""Decorators that register user-defined parts under a name."""

from __future__ import annotations

from agrm_study.study.parts.loaded import decorator

backbone = decorator("backbone")
pooling = decorator("pooling")
threshold = decorator("threshold")
loss = decorator("loss")
layout = decorator("layout")
table = decorator("table")
figure = decorator("figure")
hook = decorator("hook")
