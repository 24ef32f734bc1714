"""FALCON: every standard convolution as a pointwise and a depthwise one, fitted to the trained kernel.

J. Jang et al., "FALCON: Lightweight and Accurate Convolution" (arXiv 1909.11321; Knowledge and Information
Systems, 2023, doi 10.1007/s10115-022-01818-x). Nothing here reads or writes files or prints.
"""
