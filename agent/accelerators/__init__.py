"""Which GPUs this node has, what they are doing, and who holds them.

Reading order: accelerator (what a GPU is and what its driver must tell), reading (what a
card's bare figures mean), assignment (which ones an allocation gets), queries (who holds which).
"""
