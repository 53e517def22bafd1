"""Use cases: plain functions of ``tx``. No network, no HTTP: what must leave is written as a job in the same commit."""
