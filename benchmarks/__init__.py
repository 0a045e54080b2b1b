"""The figures of docs/performance.md, measured as ratios within one run: `make bench`."""
