"""Recommended settings run for real: the choice and its runner-up predicted, then held against a recording.

`python -m benchmarks.settings choose` recommends settings for `data/orders.yaml`, writes them as experiments of the
laboratory and the prediction of each into `data/predicted.json`: that is committed before anything is run.
`python -m benchmarks.settings` prints predicted beside seen, from whatever recordings of the two there are.
"""
